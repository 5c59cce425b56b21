"""The notebook's lines, as they stand there, without Jupyter."""

import json
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")


def test_the_notebook_runs(examples, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    folder = examples.parent / "python" / "examples"
    if not folder.is_dir():
        pytest.skip(f"{folder}: no notebook")
    monkeypatch.chdir(folder)
    names: dict = {}
    cells = json.loads((folder / "quickstart.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    for lines in code:
        exec(compile(lines, "quickstart.ipynb", "exec"), names)
    assert names["inside"] > 0.8 and names["together"].std() > 1.3 * names["alone"].std()
