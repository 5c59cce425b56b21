#!/usr/bin/env python3
"""The tables of docs/models.md, made by `chorus evaluate`, as Markdown on standard output.

    python tools/model_tables.py --chorus .build/release/chorus distance --model gp --attainable
    python tools/model_tables.py --chorus .build/release/chorus outside --model functions
    python tools/model_tables.py --chorus .build/release/chorus families --model functions

Needs Python alone.
"""

import argparse
import csv
import io
import subprocess
import sys

OUTSIDE = [("rational-quadratic", 1), ("gibbs", 1), ("student", 1), ("linear-regression", 1),
           ("linear-regression", 2), ("linear-regression", 3)]
FAMILIES = [(f"functions/{name}", 1) for name in
            ("rbf", "matern12", "matern32", "matern52", "periodic", "sum", "sawtooth")]
DISTANCE = ["oracle_joint", "oracle_independent", "independent", "buffer", "reencode", "reencode_minus_buffer",
            "buffer_minus_independent", "oracle_minus_reencode"]
BRIEF = ["oracle_joint", "independent", "buffer", "reencode", "buffer_minus_independent", "oracle_minus_reencode"]
WORDS = {"oracle_joint": "oracle joint", "oracle_independent": "oracle independent", "reencode": "re-encode",
         "reencode_minus_buffer": "re-encode − buffer", "buffer_minus_independent": "buffer − independent",
         "oracle_minus_reencode": "oracle − re-encode", "attainable_joint": "attainable joint",
         "attainable_minus_reencode": "attainable − re-encode"}
ATTAINABLE = ["attainable_joint", "attainable_minus_reencode"]


def evaluate(options, prior, functions, orders, dimensions=1, more=()):
    command = [options.chorus, "evaluate", "--model", options.model, "--prior", prior, "--functions", str(functions),
               "--orders", str(orders), "--seed", "5", "--dimensions", str(dimensions), "--threads",
               str(options.threads), "--quiet", *more]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{' '.join(command)}\n{answer.stderr}")
    print(" ".join(command[1:]), file=sys.stderr)
    return {row["context"]: row for row in csv.DictReader(io.StringIO(answer.stdout))}


def cell(row, column):
    return f"{float(row[column]):.3f} ± {float(row[column + '_se']):.3f}" if row[column] else "–"


def heading(columns):
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


def distance(options):
    """Context size by context size."""
    table = evaluate(options, options.prior or options.model, options.functions or 256, options.orders or 8,
                     options.dimensions, ["--attainable"] if options.attainable else [])
    columns = DISTANCE + (ATTAINABLE if options.attainable else [])
    heading(["N"] + [WORDS.get(name, name) for name in columns])
    for size, row in table.items():
        print(f"| {size} | " + " | ".join(cell(row, name) for name in columns) + " |")


def laws(options, priors):
    """All context sizes together, and the distance at the smallest and the largest."""
    heading(["prior", "inputs"] + [WORDS.get(name, name) for name in BRIEF] + ["N = 8", "N = 128"])
    for prior, dimensions in priors:
        table = evaluate(options, prior, options.functions or 64, options.orders or 4, dimensions)
        ends = [cell(table[size], "oracle_minus_reencode") for size in ("8", "128")]
        print(f"| `{prior}` | {dimensions} | " + " | ".join([cell(table["all"], name) for name in BRIEF] + ends) + " |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", choices=["distance", "outside", "families"])
    parser.add_argument("--chorus", default=".build/release/chorus", help="the built program")
    parser.add_argument("--model", default="functions", help="name or file of a model")
    parser.add_argument("--prior", help="of the table `distance`, where the model is a file")
    parser.add_argument("--dimensions", type=int, default=1, help="inputs, in the table `distance`")
    parser.add_argument("--functions", type=int, help="tasks a context size (256, or 64 a law)")
    parser.add_argument("--orders", type=int, help="orders averaged (8, or 4 for laws)")
    parser.add_argument("--attainable", action="store_true",
                        help="two columns more in `distance` of gp, gp-noisy and sawtooth: what the prior alone allows")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.table == "distance":
        distance(options)
    else:
        laws(options, OUTSIDE if options.table == "outside" else FAMILIES)


if __name__ == "__main__":
    main()
