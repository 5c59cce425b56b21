#!/usr/bin/env python3
"""Chorus beside scikit-learn's Gaussian processes and statsmodels' structural models, on the same held-out rows.

    python tools/compare_series.py --data FOLDER --chorus .build/release/chorus [--model MODEL]

Writes docs/comparison.md and docs/comparison.csv (a line for each split and method). FOLDER holds mcycle.csv, co2.csv,
sunspots.csv, elecdemand.csv (the whole year), airquality.csv, diabetes.csv and concrete.csv. The splits are made here;
Chorus gets them as columns of a file (`chorus score --splits`). Everything runs on one thread.

    python tools/compare_series.py --series --data FOLDER [--choose]      (series_forecasts.py: ends and gaps of many series)

Needs numpy, scipy, scikit-learn and statsmodels.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy import stats
from scipy.linalg import cholesky, solve_triangular
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, ExpSineSquared, Matern, WhiteKernel
from statsmodels.tsa.statespace.structural import UnobservedComponents

from compare_page import write_page
from scoring import energy

CONTEXT, HELD, GROUP, DRAWS, ORDERS = 512, 64, 16, 200, 4


# ---------------------------------------------------------------------------------------------
# Data and splits
# ---------------------------------------------------------------------------------------------

class Data:
    """Columns of a file: `text` as they are in it, `x` and `y` as numbers (dates in days)."""

    def __init__(self, name, folder, file, inputs, target, season=None):
        self.name, self.inputs, self.target, self.season = name, inputs, target, season
        with open(os.path.join(folder, file), newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if all(row[c] not in ("", "NA") for c in inputs + [target])]
        self.text = [[row[c] for c in inputs + [target]] for row in rows]
        self.x = np.array([[number(row[c]) for c in inputs] for row in rows])
        self.y = np.array([float(row[target]) for row in rows])
        if len(inputs) == 1:
            order = np.argsort(self.x[:, 0], kind="stable")
            self.text, self.x, self.y = [self.text[i] for i in order], self.x[order], self.y[order]


def number(text):
    try:
        return float(text)
    except ValueError:
        return np.datetime64(text, "m").astype(float) / 1440


class Split:
    def __init__(self, context, held):
        self.context, self.held = np.sort(context), np.sort(held)

    @property
    def groups(self):
        """Sums are of 16 neighbours by the order of the rows, or of all where there are fewer."""
        whole = len(self.held) // GROUP
        return [self.held[GROUP * i:GROUP * (i + 1)] for i in range(whole)] or [self.held]


def at_random(rows, stream):
    """A fifth of the rows is held out, at most 64; of the others at most 512 are shown."""
    order = stream.permutation(rows)
    count = round(0.2 * len(rows))
    return Split(order[count:][:CONTEXT], order[:count][:HELD])


def at_the_end(rows):
    """The last tenth is held out; rows are consecutive, as many as give a context of at most 512."""
    rows = rows[-(CONTEXT + round(CONTEXT / 9)):]
    count = round(0.1 * len(rows))
    return Split(rows[:-count], rows[-count:])


def cases(folder, splits):
    """(title, data, splits, whether splits share rows, whether the series is evenly spaced and continued)"""
    stream = np.random.default_rng(7)
    year, day = 365.2425, 1.0
    series = [
        (Data("mcycle", folder, "mcycle.csv", ["times"], "accel"), False),
        (Data("sunspots", folder, "sunspots.csv", ["YEAR"], "SUNACTIVITY", season=11.0), True),
        (Data("co2", folder, "co2.csv", ["date"], "co2", season=year), True),
    ]
    data = Data("elecdemand", folder, "elecdemand.csv", ["time"], "Demand", season=day)
    starts = np.linspace(0, len(data.y) - 336, splits).astype(int)
    weeks = [np.arange(start, start + 336) for start in starts]
    yield "elecdemand weeks, 20 % at random", data, [at_random(week, stream) for week in weeks], False, False
    yield "elecdemand weeks, last 10 %", data, [at_the_end(week) for week in weeks], False, True
    for name, inputs, target in [
        ("airquality", ["Solar.R", "Wind", "Temp"], "Ozone"), ("diabetes", ["bmi", "bp", "s5"], "progression"),
        ("concrete", ["cement", "water", "age"], "compressive_strength"),
    ]:
        data = Data(name, folder, f"{name}.csv", inputs, target)
        rows = np.arange(len(data.y))
        yield f"{name}, 20 % at random", data, [at_random(rows, stream) for _ in range(splits)], True, False
    for data, even in series:
        rows = np.arange(len(data.y))
        yield f"{data.name}, 20 % at random", data, [at_random(rows, stream) for _ in range(splits)], True, False
        ends = np.linspace(0.55, 1, splits)
        yield f"{data.name}, last 10 %", data, [at_the_end(rows[:round(e * len(rows))]) for e in ends], False, even


# ---------------------------------------------------------------------------------------------
# Gaussian competitors: the mean and covariance of the held-out values, standardised by the context
# ---------------------------------------------------------------------------------------------

def gaussian_process(x, y, asked, seasons):
    """The kernel with the highest marginal likelihood, each from two starts; with its periods, one start.

    One start is a smooth function in noise, the other a rough one with hardly any: from the first alone the weekly co2
    of 43 years ends as a trend whose year is noise, 400 nats below the other.
    """
    d, scale = x.shape[1], (1e-3, 1e3)
    level = ConstantKernel(1.0, (1e-4, 1e4))

    def start(length, noise):
        lengths, white = np.full(d, length), WhiteKernel(noise, (1e-8, 1e2))
        if seasons is not None:
            wave = level * RBF(2.0, scale) * ExpSineSquared(1.0, seasons, (1e-2, 1e2), (seasons / 1.3, seasons * 1.3))
            return [level * Matern(lengths, scale, nu=1.5) + wave + white]
        kernels = [RBF(lengths, scale), Matern(lengths, scale, nu=1.5), Matern(lengths, scale, nu=2.5)]
        return [level * kernel + white for kernel in kernels]

    best = None
    for kernel in start(0.5, 0.1) + (start(0.05, 1e-3) if seasons is None else []):
        try:
            model = GaussianProcessRegressor(kernel).fit(x, y)
        except np.linalg.LinAlgError:
            continue
        if best is None or model.log_marginal_likelihood_value_ > best.log_marginal_likelihood_value_:
            best = model
    return best.predict(asked, return_cov=True)


def structural(x, y, asked, name):
    """The structural model with the least AIC; missing weeks are missing values of an even grid."""
    step = np.median(np.diff(x))
    place = np.round((x - x[0]) / step).astype(int)
    ahead = np.round((asked - x[0]) / step).astype(int)
    grid = np.full(place[-1] + 1, np.nan)
    grid[place] = y
    specs = {
        "co2": [dict(level=level, freq_seasonal=[dict(period=365.2425 / 7, harmonics=4)])
                for level in ("lltrend", "rwdrift")],
        "elecdemand": [dict(level="llevel", freq_seasonal=[dict(period=48, harmonics=6)]),
                       dict(level="llevel", freq_seasonal=[dict(period=48, harmonics=6)], autoregressive=1)],
        "sunspots": [dict(level="llevel"), dict(level="llevel", autoregressive=2)]
        + [dict(level=level, cycle=True, stochastic_cycle=True, damped_cycle=True, cycle_period_bounds=(6, 20))
           for level in ("ntrend", "fixed intercept", "llevel")],
    }[name]
    best = None
    for spec in specs:
        try:
            fitted = UnobservedComponents(grid, **spec).fit(disp=False, maxiter=200)
        except (np.linalg.LinAlgError, ValueError):
            continue
        if best is None or fitted.aic < best.aic:
            best = fitted
    return forecast(best, len(grid), ahead)


def forecast(fitted, start, places):
    """The exact law of future values: the last predicted state carried on by the transition."""
    found, ssm = fitted.filter_results, fitted.model.ssm
    matrix = lambda name: np.atleast_2d(np.squeeze(np.asarray(ssm[name])))
    T, Z, Q, H = (matrix(name) for name in ("transition", "design", "state_cov", "obs_cov"))
    R = np.asarray(ssm["selection"]).reshape(len(T), len(Q))
    shift = float(np.asarray(ssm["obs_intercept"]).ravel()[0])
    drift = np.asarray(ssm["state_intercept"]).ravel()
    state, spread = found.predicted_state[:, -1], found.predicted_state_cov[:, :, -1]
    steps = places[-1] - start + 1
    means, covariance, carried = np.zeros(steps), np.zeros((steps, steps)), []
    for i in range(steps):
        means[i] = (Z @ state)[0] + shift
        carried = [T @ column for column in carried] + [spread @ Z[0]]
        covariance[i, :i + 1] = [Z[0] @ column for column in carried]
        covariance[:i + 1, i] = covariance[i, :i + 1]
        covariance[i, i] += H[0, 0]
        state, spread = T @ state + drift, T @ spread @ T.T + R @ Q @ R.T
    index = places - start
    return means[index], covariance[np.ix_(index, index)]


def judge(mean, covariance, y, groups, stream):
    """Scores of a joint Gaussian; `y` and the law are standardised."""
    k = len(y)
    jitter = 1e-10 * np.trace(covariance) / k
    root = cholesky(covariance + jitter * np.eye(k), lower=True)
    white = solve_triangular(root, y - mean, lower=True)
    deviation = np.sqrt(np.diag(covariance))
    z = (y - mean) / deviation
    crps = deviation * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    draws = mean + stream.standard_normal((DRAWS, k)) @ root.T
    inside = 0
    for group in groups:
        total = covariance[np.ix_(group, group)].sum()
        inside += abs((y[group] - mean[group]).sum()) <= stats.norm.ppf(0.95) * math.sqrt(total)
    return {
        "joint": (-0.5 * white @ white - np.log(np.diag(root)).sum()) / k - 0.5 * math.log(2 * math.pi),
        "independent": stats.norm.logpdf(y, mean, deviation).mean(), "crps": crps.mean(), "energy": energy(draws, y),
        "coverage_90": (np.abs(z) <= stats.norm.ppf(0.95)).mean(), "sums": len(groups), "sums_inside": int(inside),
    }


# ---------------------------------------------------------------------------------------------
# Chorus
# ---------------------------------------------------------------------------------------------

def chorus(program, model, data, splits, folder):
    """Its scores of each split, from its command line."""
    path = os.path.join(folder, "split.csv")
    names = [f"split {i + 1}" for i in range(len(splits))]
    sums = [[f"sum {i + 1} {j + 1}" for j in range(len(split.groups))] for i, split in enumerate(splits)]
    used = sorted({row for split in splits for row in (*split.context, *split.held)})
    columns = {}
    for i, split in enumerate(splits):
        for name, held in [(names[i], split.held)] + list(zip(sums[i], split.groups)):
            columns[name] = {row: "context" for row in split.context} | {row: "held-out" for row in held}
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(data.inputs + [data.target] + list(columns))
        for row in used:
            writer.writerow(data.text[row] + [column.get(row, "") for column in columns.values()])

    def score(*more):
        command = [program, "score", path, "--input", ",".join(data.inputs), "--target", data.target, "--model", model,
                   "--format", "jsonl", "--quiet", "--threads", "1", *more]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            sys.exit(f"{' '.join(command)}\n{answer.stderr}")
        return [json.loads(line) for line in answer.stdout.splitlines()]

    lines = score("--splits", ",".join(names), "--targets", str(HELD), "--samples", str(DRAWS), "--orders", str(ORDERS),
                  "--reencode")
    found = []
    for i, split in enumerate(splits):
        file, own = lines[2 * i], lines[2 * i + 1]
        scale = math.exp(own["buffer"] - file["buffer"])
        if abs(scale / np.std(data.y[split.context]) - 1) > 1e-6:
            sys.exit(f"{data.name}: Chorus standardises by {scale}, not {np.std(data.y[split.context])}")
        claim = score("--splits", ",".join(sums[i]), "--functional", "sum", "--samples", "400")[0]
        found.append({
            "joint": own["buffer"], "reencode": own["reencode"], "independent": own["independent"], "crps": own["crps"],
            "energy": own["energy_buffer"], "coverage_90": own["coverage_90"], "sums": claim["repetitions"],
            "sums_inside": round(claim["coverage_90"] * claim["repetitions"]),
        })
    return found


# ---------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------

SCORES = ["joint", "reencode", "independent", "crps", "energy", "coverage_90", "sums", "sums_inside",
          "case_seconds"]


def processor_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read(options):
    """The cases of a comparison.csv that is there."""
    known = {}
    try:
        with open(os.path.join(options.out, "comparison.csv"), newline="") as file:
            for row in csv.DictReader(file):
                scores = {name: float(row[name]) for name in SCORES if row[name]}
                scores["sums"], scores["sums_inside"] = int(scores["sums"]), int(scores["sums_inside"])
                known.setdefault(row["data"], {}).setdefault(row["method"], []).append(scores)
    except FileNotFoundError:
        pass
    return known


def write(options, results, model):
    with open(os.path.join(options.out, "comparison.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["data", "split", "method"] + SCORES)
        for title, case in results.items():
            for method, found in case.get("scores", {}).items():
                for index, score in enumerate(found):
                    cells = [score.get(name, "") for name in SCORES]
                    writer.writerow([title, index + 1, method] + [f"{c:.6g}" if isinstance(c, float) else c for c in cells])
    name = os.path.basename(options.model)
    command = f"python tools/compare_series.py --data FOLDER --chorus CHORUS --model {name}"
    done = {title: case for title, case in results.items() if "scores" in case}
    seconds = sum(case["scores"]["chorus"][0]["case_seconds"] for case in done.values())
    write_page(os.path.join(options.out, "comparison.md"), done, model, command, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with the CSV files")
    parser.add_argument("--chorus", default=".build/release/chorus", help="the built program")
    parser.add_argument("--model", default="functions", help="name or file of a model")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--only", help="cases whose title contains this")
    parser.add_argument("--keep", action="store_true", help="take cases that are in comparison.csv from there")
    parser.add_argument("--again", action="store_true", help="run Chorus again; the others' scores are taken from comparison.csv")
    parser.add_argument("--out", default="docs", help="folder for comparison.md and comparison.csv")
    options = parser.parse_args()
    if options.splits < 2:
        parser.error("--splits must be at least 2")
    warnings.filterwarnings("ignore")
    answer = subprocess.run([options.chorus, "info", options.model], capture_output=True, text=True)
    if answer.returncode:
        sys.exit(answer.stderr)
    info = {row["property"]: row["value"] for row in csv.DictReader(answer.stdout.splitlines())}
    model = (f"`{os.path.splitext(info.get('file', os.path.basename(options.model)))[0]}`, "
             f"{int(info.get('tasks') or 0):,} tasks of prior `{info.get('prior', '?')}`")
    results, known = {}, read(options) if options.keep or options.again else {}
    with tempfile.TemporaryDirectory() as folder:
        for title, data, splits, shared, even in cases(options.data, options.splits):
            if options.only and options.only not in title:
                continue
            overlap = len(splits[0].held) / len(splits[0].context) if shared else 0
            results[title] = {"overlap": overlap, "n": np.mean([len(s.context) for s in splits]),
                              "k": np.mean([len(s.held) for s in splits])}
            if title in known and options.keep:
                results[title]["scores"] = known[title]
                continue
            began = processor_seconds()
            scores = {"chorus": chorus(options.chorus, options.model, data, splits, folder)}
            if title in known:
                results[title]["scores"] = known[title] | scores
                for score in scores["chorus"]:
                    score["case_seconds"] = known[title]["chorus"][0]["case_seconds"]
                write(options, results, model)
                continue
            methods = ["gp"] + ["gp-season"] * (data.season is not None) + ["structural"] * even
            for split in splits:
                x, y = data.x[split.context], data.y[split.context]
                middle, scale = y.mean(), y.std()
                centre, width = x.mean(0), x.std(0)
                held = (data.y[split.held] - middle) / scale
                groups = [np.searchsorted(split.held, group) for group in split.groups]
                for method in methods:
                    stream = np.random.default_rng([3, split.held[0], *f"{title} {method}".encode()])
                    if method == "structural":
                        law = structural(x[:, 0], (y - middle) / scale, data.x[split.held, 0], data.name)
                    else:
                        season = None if method == "gp" else float(data.season / width[0])
                        law = gaussian_process((x - centre) / width, (y - middle) / scale,
                                               (data.x[split.held] - centre) / width, season)
                    scores.setdefault(method, []).append(judge(*law, held, groups, stream))
            seconds = processor_seconds() - began
            for found in scores.values():
                for score in found:
                    score["case_seconds"] = seconds
            results[title]["scores"] = scores
            means = ", ".join(f"{m} {np.mean([s['joint'] for s in found]):.3f}" for m, found in scores.items())
            print(f"{title}: {means} ({seconds:.0f} s)", file=sys.stderr, flush=True)
            write(options, results, model)
    if results:
        write(options, results, model)


if __name__ == "__main__":
    if "--series" in sys.argv:
        import series_forecasts

        series_forecasts.main([a for a in sys.argv[1:] if a != "--series"])
    else:
        main()
