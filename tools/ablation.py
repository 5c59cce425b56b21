#!/usr/bin/env python3
"""What the prior, the hints and the width of `functions` are worth: one thing is left out of its recipe at a time, at equal tasks.

    python tools/ablation.py train --out FOLDER [--steps 1000] [--networks recipe,no-series] [--seeds 21,22]
    python tools/ablation.py judge --out FOLDER --data DATA
    python tools/ablation.py table --out FOLDER

`train` writes a configuration for each network and seed and trains what is not there yet, one run after another on one thread. A
run that was stopped goes on.
`judge` asks every network whose training has ended, and the shipped `functions`, two things. Of its prior's parts, series and
functions of one and of two inputs: the joint log-density of sixteen targets behind 16, 64 and 256 rows (`chorus evaluate`; a task a
call, so that differences are paired by task). Of real series, the half to choose on: the splits of `compare_series.py --series --choose`.
`table` sets them beside the recipe. Several `judge` may run in turn; what is done is kept.

`judge` needs numpy, scipy, scikit-learn and statsmodels for the real series; the rest Python alone.
"""

import argparse
import csv
import json
import math
import os
import resource
import statistics
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES, TARGETS = (16, 64, 256), 16
# Name, prior, inputs, tasks of each size.
PARTS = [("series", "series", 1, 80), ("functions", "functions", 1, 50), ("functions, 2 inputs", "functions", 2, 30)]
SHIPPED = "shipped"


def without(*names):
    """Leaves hints out; a law of paths needs the rows near a value, so it goes with the splines."""
    def change(settings):
        network = settings["blueprint"]
        network["hints"] = [hint for hint in network["hints"] if hint["name"] not in names]
        if "local-splines" in names:
            network["head"]["around"] = 0
            joins(settings)
    return change


def joins(settings):
    for hint in settings["blueprint"]["hints"]:
        if hint["name"] == "series":
            hint["joins"] = False


def prior(settings):
    settings["prior"] = "functions"


def width(share):
    def change(settings):
        for name in ("width", "feedForward", "embedderHidden", "headHidden"):
            settings["blueprint"][name] = int(settings["blueprint"][name] * share)
    return change


NETWORKS = {
    "recipe": lambda settings: None,
    "no-series": without("series"),
    "no-splines": without("local-splines"),
    "no-joins": joins,
    "no-waves": without("trend-and-waves"),
    "older-prior": prior,
    "width-32": width(0.5),
    "width-96": width(1.5),
}


# ---------------------------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------------------------

def run(command):
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{' '.join(command)}\n{answer.stderr}")
    return answer.stdout


def recipe(options):
    """The settings of the program's own recipe, as a run of one step writes them."""
    folder = os.path.join(options.out, "preset")
    if not os.path.exists(os.path.join(folder, "configuration.json")):
        run([options.chorus, "train", "observations", "--steps", "1", "--batch", "1", "--out", folder, "--quiet"])
    with open(os.path.join(folder, "configuration.json")) as stream:
        return json.load(stream)


def steps(folder):
    """The steps that a run's weights have been trained for; 0 where there are none."""
    path = os.path.join(folder, "model.safetensors")
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
    return int(header["__metadata__"]["steps"])


def train(options):
    os.makedirs(os.path.join(options.out, "runs"), exist_ok=True)
    for seed in options.seeds.split(","):
        for name in options.networks.split(","):
            settings = recipe(options)
            settings |= {"steps": options.steps, "batch": 8, "seed": int(seed), "validateEvery": max(options.steps // 2, 1),
                         "checkpointEvery": options.steps}
            NETWORKS[name](settings)
            folder = os.path.join(options.out, "runs", f"{name}-{seed}")
            if steps(folder) == options.steps:
                continue
            path = os.path.join(options.out, f"{name}-{seed}.json")
            with open(path, "w") as stream:
                json.dump(settings, stream, indent=1)
            run([options.chorus, "train", path, "--out", folder, "--threads", "1", "--quiet"]
                + ["--resume"] * os.path.exists(folder))
            seconds = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"{name}-{seed} trained; {seconds.ru_utime + seconds.ru_stime:.0f} core-seconds so far", file=sys.stderr)


# ---------------------------------------------------------------------------------------------
# Judging
# ---------------------------------------------------------------------------------------------

COLUMNS = ["part", "task", "context", "independent", "buffer", "oracle_joint"]


def judge_prior(options, model, path):
    """A line for each task; a density of 0 is an empty cell."""
    def scored(name, inputs, task, sizes):
        answer = subprocess.run(
            [options.chorus, "evaluate", "--model", model, "--prior", name, "--dimensions", str(inputs), "--targets", str(TARGETS),
             "--context", ",".join(map(str, sizes)), "--functions", "1", "--orders", "1", "--seed", str(task), "--threads", "1",
             "--quiet"], capture_output=True, text=True)
        if answer.returncode == 0:
            return [row for row in csv.DictReader(answer.stdout.splitlines()) if row["context"] != "all"]
        # A target below 0 behind a context that is seen as logarithms ends the whole call.
        if "logarithmic scale" not in answer.stderr:
            sys.exit(answer.stderr)
        if len(sizes) == 1:
            return [{"context": sizes[0], "independent": "", "buffer": "", "oracle_joint": ""}]
        return [row for size in sizes for row in scored(name, inputs, task, [size])]

    with open(path + ".part", "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for part, name, inputs, tasks in PARTS:
            for task in range(1, tasks + 1):
                writer.writerows({**row, "part": part, "task": task} for row in scored(name, inputs, task, SIZES))
    os.rename(path + ".part", path)


def judge_series(options, model, folder):
    """All lines of the shipped model, and those of other methods, are as in docs/series-choose.csv."""
    with open(os.path.join(HERE, "..", "docs", "series-choose.csv")) as stream:
        lines = [line for line in stream if line.split(",")[6] != "chorus" or model == "functions"]
    unfinished = os.path.join(folder, "unfinished")
    os.makedirs(unfinished, exist_ok=True)
    with open(os.path.join(unfinished, "series-choose.csv"), "w") as stream:
        stream.writelines(lines)
    run([sys.executable, os.path.join(HERE, "compare_series.py"), "--series", "--choose", "--keep", "--methods", "chorus",
         "--data", options.data, "--chorus", options.chorus, "--model", model, "--out", unfinished])
    os.rename(os.path.join(unfinished, "series-choose.csv"), os.path.join(folder, "series-choose.csv"))


def judge(options):
    names = options.networks.split(",") if options.networks else [SHIPPED, *sorted(os.listdir(os.path.join(options.out, "runs")))]
    for name in names:
        model = "functions" if name == SHIPPED else os.path.join(options.out, "runs", name, "model.safetensors")
        folder = os.path.join(options.out, "judged", name)
        if name != SHIPPED and steps(os.path.dirname(model)) != options.steps:
            print(f"{name} is not trained", file=sys.stderr)
            continue
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "prior.csv")
        if not os.path.exists(path):
            judge_prior(options, model, path)
        if options.data and not os.path.exists(os.path.join(folder, "series-choose.csv")):
            judge_series(options, model, folder)
        print(f"{name} judged", file=sys.stderr)


# ---------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------

def prior_of(folder):
    """The joint log-density of each task by (part, task, context), nats a target; None where it is 0."""
    with open(os.path.join(folder, "prior.csv"), newline="") as stream:
        return {(r["part"], r["task"], r["context"]): float(r["buffer"]) if r["buffer"] else None for r in csv.DictReader(stream)}


def series_of(folder):
    """By (kind, series): the CRPS summed over splits, as a logarithm, and the median joint log-density, of each method."""
    with open(os.path.join(folder, "series-choose.csv"), newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for row in rows:
        one = found.setdefault((row["kind"], row["series"]), {}).setdefault(row["method"], ([], []))
        one[0].append(float(row["crps"]))
        one[1].append(float(row["joint"]))
    return {key: {method: (math.log(sum(crps)), joint) for method, (crps, joint) in methods.items()} for key, methods in found.items()}


def mean(values):
    """Mean and standard error."""
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):+.3f} ± {spread:.3f}"


def averaged(one, other):
    """Differences by key, averaged over the seeds that both have; keys where one of them has density 0 are left out."""
    pairs = [(one[seed], other[seed]) for seed in sorted(set(one) & set(other))]
    keys = [key for key in pairs[0][0] if all(a.get(key) is not None and b.get(key) is not None for a, b in pairs)]
    return {key: statistics.fmean(a[key] - b[key] for a, b in pairs) for key in keys}


def table(options):
    runs = {}
    for name in sorted(os.listdir(os.path.join(options.out, "judged"))):
        network, _, seed = name.rpartition("-")
        runs.setdefault(network or SHIPPED, {})[seed] = os.path.join(options.out, "judged", name)
    base = runs["recipe"]
    runs[SHIPPED] = {seed: runs[SHIPPED]["shipped"] for seed in base} if SHIPPED in runs else {}
    priors = {name: {seed: prior_of(folder) for seed, folder in seeds.items()} for name, seeds in runs.items()}
    parts = [part[0] for part in PARTS]
    print("| less the recipe | seeds | " + " | ".join(parts) + " | density 0 |")
    print("|" + "---|" * (len(parts) + 3))
    for name, seeds in priors.items():
        if not seeds:
            continue
        zeros = sum(value is None for one in seeds.values() for value in one.values())
        count = sum(len(one) for one in seeds.values())
        found = averaged(seeds, priors["recipe"])
        cells = [mean([v for k, v in found.items() if k[0] == part]) for part in parts]
        if name == "recipe":
            cells = [f"{statistics.fmean(v for one in seeds.values() for k, v in one.items() if k[0] == p and v is not None):.3f}"
                     for p in parts]
        print(f"| {name} | {len(set(seeds) & set(base))} | " + " | ".join(cells) + f" | {zeros} of {count} |")
    print("\nBetween seeds of one network, larger seed less smaller:\n")
    for name, seeds in priors.items():
        order = sorted(seeds)
        for a, b in zip(order, order[1:]):
            if name != SHIPPED:
                found = averaged({"": seeds[b]}, {"": seeds[a]})
                print(f"- {name} {b} − {a}: " + ", ".join(mean([v for k, v in found.items() if k[0] == p]) for p in parts))
    print("\n| real series | seeds | " + " | ".join(f"{kind}s: CRPS, joint" for kind in ("end", "gap")) + " | against structural |")
    print("|" + "---|" * 5)
    series = {name: {seed: series_of(folder) for seed, folder in seeds.items()
                     if os.path.exists(os.path.join(folder, "series-choose.csv"))} for name, seeds in runs.items()}

    def sides(mine, others, method):
        """Of each kind of split: the ratio of CRPS and the difference in joint log-density, over series; both averaged over seeds."""
        cells = []
        for kind in ("end", "gap"):
            ratios, gains = [], []
            for key in [k for k in next(iter(mine.values())) if k[0] == kind]:
                pairs = [(mine[seed][key]["chorus"], others[seed][key][method]) for seed in mine if seed in others]
                ratios.append(statistics.fmean(a[0] - b[0] for a, b in pairs))
                gains.append(statistics.fmean(statistics.median(x - y for x, y in zip(a[1], b[1])) for a, b in pairs))
            error = statistics.stdev(ratios) / math.sqrt(len(ratios))
            cells.append(f"{math.exp(statistics.fmean(ratios)):.3f} (× or ÷ {math.exp(error):.3f}), {mean(gains)}")
        return cells

    for name, seeds in series.items():
        if seeds and series["recipe"]:
            both = {seed: one for seed, one in seeds.items() if seed in series["recipe"]}
            print(f"| {name} | {len(both)} | " + " | ".join(sides(both, series["recipe"], "chorus")) + " | "
                  + "; ".join(sides(both, both, "structural")) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["train", "judge", "table"])
    parser.add_argument("--out", required=True, help="folder of runs and scores")
    parser.add_argument("--chorus", default=".build/release/chorus", help="the built program")
    parser.add_argument("--data", help="folder with series/, co2.csv, elecdemand.csv and sunspots.csv (judge)")
    parser.add_argument("--steps", type=int, default=1000, help="of eight tasks")
    parser.add_argument("--seeds", default="21,22")
    parser.add_argument("--networks", help="some of " + ", ".join(NETWORKS))
    options = parser.parse_args()
    if options.what == "train":
        options.networks = options.networks or ",".join(NETWORKS)
        unknown = set(options.networks.split(",")) - set(NETWORKS)
        if unknown:
            parser.error(f"no network {', '.join(sorted(unknown))}; there are {', '.join(NETWORKS)}")
    {"train": train, "judge": judge, "table": table}[options.what](options)


if __name__ == "__main__":
    main()
