"""Forecasts and gaps of real series by Chorus, its hint alone and what a statistician would run: `compare_series.py --series`.

Every split and method is a line of a CSV file, which is read again with `--keep`; the page is made from it.
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

import series as data
import series_peers as peers
from scoring import interval
from series_hint import Hint
from series_peers import Law, log_jacobian, transform

import numpy as np

COLUMNS = ["series", "stratum", "split", "kind", "rows", "asked", "method", "crps", "joint", "in80", "in90", "seconds"]
LABELS = {"chorus": "Chorus", "hint": "hint alone", "structural": "structural", "arima": "AutoARIMA", "ets": "AutoETS",
          "gp": "GP with season", "naive": "seasonal naive"}


def hint(series, split):
    """The reference of the hint, with errors that are normal."""
    fit = Hint(series.x[split.context], series.y[split.context], clock=series.unit)
    held = series.y[split.held]
    mean, covariance = fit.at(series.x[split.held])
    law = peers.gaussian(mean, covariance, transform(held, fit.power))
    return Law(law.mean, law.deviation, fit.power, law.joint + log_jacobian(held, fit.power) / len(held))


def chorus(program, model, series, splits, folder):
    """Scores of all splits of a series from one call of the command line."""
    path, names = os.path.join(folder, "series.csv"), [f"split {i + 1}" for i in range(len(splits))]
    place = [{**{r: "context" for r in s.context}, **{r: "held-out" for r in s.held}} for s in splits]
    used = sorted(set().union(*place))
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["time", "value"] + names)
        writer.writerows([series.text[r], repr(float(series.y[r]))] + [p.get(r, "") for p in place] for r in used)
    command = [program, "score", path, "--input", "time", "--target", "value", "--model", model, "--splits",
               ",".join(names), "--targets", "64", "--samples", "400", "--orders", "4", "--format", "jsonl", "--quiet",
               "--threads", "1"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{' '.join(command)}\n{answer.stderr}")
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    out = []
    for i, split in enumerate(splits):
        own, scale = lines[2 * i + 1], np.std(series.y[split.context])
        out.append({"crps": own["crps"] * scale, "joint": own["buffer"] - math.log(scale),
                    "in80": own.get("coverage_80", math.nan), "in90": own["coverage_90"]})
    return out


def measure(options, known, write):
    with tempfile.TemporaryDirectory() as folder:
        for stratum, names in data.half("choose" if options.choose else "report").items():
            for name in names:
                if options.only and options.only not in name:
                    continue
                series = data.Series(options.data, name)
                splits, steps = data.splits(series), series.steps

                def line(i, method, scores, seconds):
                    split = splits[i]
                    write({"series": name, "stratum": stratum, "split": i, "kind": split.kind, "rows": len(split.context),
                           "asked": len(split.held), "method": method, **scores, "seconds": round(seconds, 2)})

                for method in options.methods.split(","):
                    todo = [i for i in range(len(splits)) if (name, i, method) not in known
                            and not (splits[i].kind == "gap" and method in peers.ENDS_ONLY)]
                    if method == "chorus" and todo:
                        began = time.time()
                        found = chorus(options.chorus, options.model, series, splits, folder)
                        for i in todo:
                            line(i, method, found[i], (time.time() - began) / len(splits))
                        continue
                    for i in todo:
                        split, began = splits[i], time.time()
                        held = series.y[split.held]
                        if method == "hint":
                            law = hint(series, split)
                        else:
                            law = peers.PEERS[method](steps[split.context], series.y[split.context], steps[split.held],
                                                      held, series.season)
                        line(i, method, {"crps": law.crps(held).mean(), "joint": law.joint, "in80": law.covers(held, 0.8).mean(),
                                         "in90": law.covers(held, 0.9).mean()}, time.time() - began)
                print(name, file=sys.stderr, flush=True)


def page(rows, options, model):
    """Ratios of the CRPS summed over a series' splits, averaged as logarithms over series; joint: nats a value."""
    stream = np.random.default_rng(5)
    by = {}
    for r in rows:
        by.setdefault((r["kind"], r["stratum"], r["series"]), {}).setdefault(r["method"], {})[int(r["split"])] = r
    own = [m for m in ("chorus", "hint") if any(r["method"] == m for r in rows)]
    out = ["# Forecasts of real series\n",
           "What can be asked of a series is in [asking.md](asking.md).\n",
           "Made by `tools/compare_series.py --series`; do not edit by hand. The half to "
           f"{'choose on' if options.choose else 'report'} of tools/series_split.json; five ends and three gaps a series, at "
           "most 512 rows shown. All but Chorus and its hint are told the rows in a season"
           + (f"; model {model}.\n" if "chorus" in own else ".\n"),
           "CRPS is a ratio, less than 1 is better than the other; joint is a difference in nats a value, more is better (the "
           "median over a series' splits, since some fits of others have no variance). "
           "Brackets: 95 % of 2,000 bootstraps over series.\n"]
    losses = []
    for mine in own:
        out += [f"## {LABELS[mine]}\n", "| | against | series | CRPS | joint |", "|---|---|---|---|---|"]
        for kind in ("end", "gap"):
            for stratum in ("seasonal", "visnights", "non-seasonal"):
                for other in LABELS:
                    if other in (mine, "chorus"):
                        continue
                    ratios, gains = [], []
                    for (k, s, name), methods in by.items():
                        if (k, s) != (kind, stratum) or mine not in methods or other not in methods:
                            continue
                        both = sorted(set(methods[mine]) & set(methods[other]))
                        total = lambda m: sum(float(methods[m][i]["crps"]) for i in both)
                        ratio = math.log(total(mine) / total(other))
                        gain = np.median([float(methods[mine][i]["joint"]) - float(methods[other][i]["joint"]) for i in both])
                        ratios.append(ratio)
                        gains.append(gain)
                        losses.append((ratio, mine, kind, name, other, gain))
                    if not ratios:
                        continue
                    r, g = np.exp(interval(ratios, stream)), interval(gains, stream)
                    joint = f"{g[0]:+.2f} ({g[1]:+.2f} to {g[2]:+.2f})" if np.isfinite(g[0]) else "–"
                    out.append(f"| {stratum} {kind}s | {LABELS[other]} | {len(ratios)} | {r[0]:.2f} ({r[1]:.2f} to {r[2]:.2f}) "
                               f"| {joint} |")
        out.append("")
    out += ["## Series on which it is behind, worst first\n", "| | series | against | CRPS | joint |", "|---|---|---|---|---|"]
    for ratio, mine, kind, name, other, gain in sorted(losses, key=lambda a: -a[0]):
        if ratio > math.log(1.05):
            joint = f"{gain:+.2f}" if np.isfinite(gain) else "–"
            out.append(f"| {LABELS[mine]}, {kind}s | {name} | {LABELS[other]} | {math.exp(ratio):.2f} | {joint} |")
    out += ["", "## Coverage and time\n", "| method | in 80 % | in 90 % | seconds a split |", "|---|---|---|---|"]
    for method, label in LABELS.items():
        mine = [r for r in rows if r["method"] == method]
        if mine:
            mean = lambda c: np.mean([float(r[c]) for r in mine])
            cell = lambda value, form: format(value, form) if np.isfinite(value) else "–"
            out.append(f"| {label} | {cell(mean('in80'), '.0%')} | {cell(mean('in90'), '.0%')} | {cell(mean('seconds'), '.2f')} |")
    return "\n".join(out) + "\n"


def main(arguments):
    parser = argparse.ArgumentParser(prog="compare_series.py --series", description=__doc__)
    parser.add_argument("--data", required=True, help="folder with series/, co2.csv, elecdemand.csv and sunspots.csv")
    parser.add_argument("--choose", action="store_true", help="the half to choose on instead of the half to report")
    parser.add_argument("--methods", default="naive,ets,arima,structural,gp,hint,chorus")
    parser.add_argument("--chorus", default=".build/release/chorus")
    parser.add_argument("--model", default="functions")
    parser.add_argument("--only", help="series whose name contains this")
    parser.add_argument("--keep", action="store_true", help="take lines that are in the CSV file from there")
    parser.add_argument("--out", default="docs", help="folder for series.md and series.csv")
    options = parser.parse_args(arguments)
    path = os.path.join(options.out, "series-choose.csv" if options.choose else "series.csv")
    rows = []
    if options.keep and os.path.exists(path):
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream))
    known = {(r["series"], int(r["split"]), r["method"]) for r in rows}
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)

        def write(row):
            rows.append(row)
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            stream.flush()

        measure(options, known, write)
    with open(path[:-3] + "md", "w") as stream:
        stream.write(page(rows, options, options.model))
