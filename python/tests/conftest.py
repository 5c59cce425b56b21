"""What tests of the program's numbers need: CHORUS_PROGRAM names it, CHORUS_EXAMPLES the folder of example files."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest


_versions: list[str] = []


def ran_with(name_and_version: str) -> None:
    """Has the summary tell what a test ran with."""
    _versions.append(name_and_version)


def pytest_terminal_summary(terminalreporter) -> None:
    for line in dict.fromkeys(_versions):
        terminalreporter.write_line(f"ran with {line}")


@pytest.fixture(scope="session")
def examples() -> Path:
    folder = Path(os.environ.get("CHORUS_EXAMPLES", Path(__file__).parents[2] / "Examples"))
    if not folder.is_dir():
        pytest.skip(f"{folder}: no example files; name them by CHORUS_EXAMPLES")
    return folder


@pytest.fixture(scope="session")
def program():
    path = os.environ.get("CHORUS_PROGRAM")
    if not path:
        pytest.skip("CHORUS_PROGRAM does not name the program")

    def run(*arguments: object) -> str:
        # The library's numbers have all their digits.
        digits = ["--digits", "all"] if arguments[0] == "predict" else []
        done = subprocess.run([path, *map(str, arguments), *digits, "--quiet"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def wave():
    x = np.linspace(0, 6, 25)
    return x, np.sin(2 * x) + 0.1 * x
