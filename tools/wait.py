#!/usr/bin/env python3
"""What a user waits for: processor seconds of one thread of `chorus` commands, beside what else could be run.

    python tools/wait.py                                   # this build and the peers that are installed
    python tools/wait.py --programs before=OLD,after=NEW   # two builds in turn, with the ratio of each round
    python tools/wait.py --rows 64,512 --repetitions 9
    python tools/wait.py --check 1.3                       # fails where K = 2,048 or a saved context is beyond its goal

Chorus is timed as a process, from its start to its end, with one thread. A peer is timed in a process of its own from the
rows in memory to the drawn paths: starting Python and importing it count nothing. Contestants run one after the other,
A B C A B C. Reported are medians, least and largest, and the ratio to Chorus of each round, rows on which Chorus is
slowest beside its best peer first. scikit-learn, statsmodels and GPyTorch are asked if they are there, and what is
skipped is said.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


# ---------------------------------------------------------------------------------------------
# Rows of the table
# ---------------------------------------------------------------------------------------------


class Row:
    """One thing to wait for.

    arguments: of `chorus`; {folder} is where made files lie, {examples} the repository's.
    peers: what to run beside it: name, then how (a function of wait_peers.py and its arguments).
    before: arguments of a command that has to run first, untimed.
    """

    def __init__(self, name, words, arguments, peers=(), before=None):
        self.name, self.words, self.arguments, self.peers, self.before = name, words, arguments, dict(peers), before


def curve(n, k, paths, more=()):
    name = f"{n}" if paths == 100 else f"{n}x{paths}"
    arguments = ["predict", f"{{folder}}/curve{n}.csv", "--input", "x", "--target", "y", "--samples", paths]
    task = dict(rows=f"{{folder}}/curve{n}.csv", columns=["x", "y"], at=[float(n + i) for i in range(k)], paths=paths)
    peers = [("scikit-learn GP", ("process", task))] + list(more)
    if n == 64:
        peers.append(("five restarts", ("process", dict(task, restarts=5))))
    if n >= 256:
        peers.append(("GPyTorch", ("gpytorch", task)))
    return Row(name, f"N={n}, K={k}, {paths} paths", arguments + ["--at", f"{n}..{n + k - 1}/1"], peers)


def series(count, rows, targets):
    file = f"{{folder}}/series{count}.csv"
    arguments = ["predict", file, "--group", "id", "--input", "x", "--target", "y", "--horizon", targets]
    task = dict(rows=file, columns=["x", "y"], group="id", at=[float(rows + i) for i in range(targets)], paths=100)
    return Row(
        f"series{count}", f"{count} series × {rows} rows × {targets} targets, 100 paths", arguments, [("scikit-learn GP", ("process", task))])


def forecast(name, x, y, season, steps, more=()):
    file = f"{{examples}}/{name}.csv"
    task = dict(rows=file, columns=[x, y], ahead=steps, paths=100, season=season)
    return Row(
        name, f"{name}, K={steps}", ["predict", file, "--input", x, "--target", y, "--horizon", steps],
        [("scikit-learn GP", ("process", task)), ("statsmodels", ("structural", task))])


def horizon(k, plan=None):
    arguments = ["predict", "{folder}/curve240.csv", "--input", "x", "--target", "y", "--at", f"240..{239 + k}/1",
                 "--samples", 12] + (["--plan", plan] if plan else [])
    return Row(f"K{k}" + (f"-{plan}" if plan else ""), f"N=240, K={k:,}, 12 paths" + (f", {plan}" if plan else ""), arguments)


def rows():
    kept = ["{folder}/kept.safetensors"]
    curve256 = ["{folder}/curve256.csv", "--input", "x", "--target", "y"]
    yield Row("start", "`chorus --version`", ["--version"])
    yield Row("query", "one value of a saved context of 256 rows, 100 paths",
              ["predict", "--context"] + kept + ["--at", "256..256/1"],
              before=["condition"] + curve256 + ["--output"] + kept)
    for n in (64, 256, 512, 1024):
        yield curve(n, 64, 100)
    yield curve(512, 64, 1000)
    yield series(100, 50, 10)
    yield series(1000, 50, 10)
    yield forecast("sunspots", "YEAR", "SUNACTIVITY", 11, 22)
    yield forecast("elecdemand", "time", "Demand", 48, 48)
    task = dict(rows="{folder}/curve300.csv", columns=["x", "y"], holdout=60, repetitions=10)
    yield Row("score", "`score` of 300 rows, ten repetitions",
              ["score", "{folder}/curve300.csv", "--input", "x", "--target", "y"], [("scikit-learn GP", ("held_out", task))])
    yield Row("report", "`report` of 300 rows, K=60",
              ["report", "{folder}/curve300.csv", "--input", "x", "--target", "y", "--at", "300..359/1",
               "--output", "{folder}/report.html"])
    for k in (64, 128, 256, 512, 1024, 2048):
        yield horizon(k)
    for k in (256, 1024):
        yield horizon(k, "sequential")


def write_files(folder):
    """Waves with noise, by a generator that is written out, so that every machine has the same rows."""
    state = 1

    def noise():
        nonlocal state
        total = 0.0
        for _ in range(12):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            total += state / 2**64
        return total - 6

    from math import sin
    for n in (64, 240, 256, 300, 512, 1024):
        lines = [f"{i},{5 + 0.01 * i + 2 * sin(0.11 * i) + 0.5 * noise():.4f}" for i in range(n)]
        (folder / f"curve{n}.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    for count in (100, 1000):
        lines = []
        for s in range(count):
            level, slope, pace = 10 + 3 * noise(), 0.05 * noise(), 0.35 + 0.08 * noise()
            lines += [f"s{s},{i},{level + slope * i + 2 * sin(pace * i) + 0.4 * noise():.4f}" for i in range(50)]
        (folder / f"series{count}.csv").write_text("id,x,y\n" + "\n".join(lines) + "\n")


# ---------------------------------------------------------------------------------------------
# Contestants
# ---------------------------------------------------------------------------------------------


def processor_seconds(command, stdout=subprocess.DEVNULL):
    """Of a process that has ended, its children included; and what it wrote to stdout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], stdout=stdout, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **ONE_THREAD})
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


# Subcommands that take --precision; of others the time is that of f32.
PRECISE = {"predict", "condition", "score", "evaluate", "bench", "train"}


class Chorus:
    """A program; `program@bf16` is one that rounds its matrix products."""

    def __init__(self, program):
        self.program, _, self.precision = program.partition("@")

    def seconds(self, arguments):
        one = [] if arguments[0] == "--version" else ["--threads", 1, "--quiet"]
        if one and self.precision and arguments[0] in PRECISE:
            one += ["--precision", self.precision]
        return processor_seconds([self.program] + arguments + one)[0]


class Peer:
    """A function of wait_peers.py in a process of its own; it times itself."""

    def __init__(self, how, task):
        self.how, self.task = how, task

    def seconds(self):
        command = [sys.executable, ROOT / "tools" / "wait_peers.py", self.how, json.dumps(self.task)]
        return float(processor_seconds(command, stdout=subprocess.PIPE)[1])


def missing(how):
    """Why a peer cannot be asked; None where it can."""
    import importlib.util
    needs = {"process": ["numpy", "sklearn"], "held_out": ["numpy", "sklearn"], "gpytorch": ["torch", "gpytorch"],
             "structural": ["numpy", "statsmodels"]}[how]
    lacks = [name for name in needs if importlib.util.find_spec(name) is None]
    return f"{' and '.join(lacks)} not installed" if lacks else None


# ---------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def measure(row, programs, repetitions, places, skipped):
    def filled(value):
        if isinstance(value, str):
            return value.format(**places)
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        return value

    arguments = [filled(part) for part in row.arguments]
    contestants = {name: (lambda one=Chorus(path): one.seconds(arguments)) for name, path in programs.items()}
    for name, (how, task) in row.peers.items():
        why = missing(how)
        if why:
            skipped.add(f"{name}: {why}")
        else:
            contestants[name] = Peer(how, filled(task)).seconds
    for path in programs.values() if row.before else []:
        Chorus(path).seconds([filled(part) for part in row.before])
    times = {name: [] for name in contestants}
    for _ in range(repetitions):
        for name, seconds in contestants.items():
            times[name].append(seconds())
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=f"chorus={ROOT / '.build/release/chorus'}",
                        help="name=path of one or more builds, separated by commas; ratios are to the last")
    parser.add_argument("--rows", help="names of rows, separated by commas (default: all)")
    parser.add_argument("--precision", help="f32, bf16 or both, as f32,bf16: each program in each of them (default: as it is)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--check", type=float, metavar="RATIO",
                        help="fail where a value of K = 2,048 takes more than RATIO times one of K = 128, or a query of a saved "
                             "context more than RATIO starts of the program")
    options = parser.parse_args()
    programs = dict(part.split("=", 1) for part in options.programs.split(","))
    if options.precision:
        kinds = "f32,bf16" if options.precision == "both" else options.precision
        kinds = kinds.split(",")
        if unknown := set(kinds) - {"f32", "bf16"}:
            raise SystemExit(f"--precision is {', '.join(sorted(unknown))}; it is f32, bf16 or both")
        programs = {f"{name} {kind}": f"{path}@{kind}" for name, path in programs.items() for kind in kinds}
    wanted = options.rows.split(",") if options.rows else None
    all_rows = list(rows())
    if options.list:
        for row in all_rows:
            print(f"{row.name:12} {row.words}")
        return
    unknown = set(wanted or []) - {row.name for row in all_rows}
    if unknown:
        raise SystemExit(f"no row is named {', '.join(sorted(unknown))}; --list names them")
    last = list(programs)[-1]
    found, skipped = [], set()
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        places = {"folder": folder, "examples": str(ROOT / "Examples")}
        for row in all_rows:
            if wanted and row.name not in wanted:
                continue
            times = measure(row, programs, options.repetitions, places, skipped)
            found.append((row, times))
            print(json.dumps({"row": row.name, "words": row.words, "seconds": times}), file=sys.stderr, flush=True)

    def ratios(times, name):
        return [other / own for other, own in zip(times[name], times[last])]

    def standing(item):
        """The fastest peer beside Chorus: the rows that lose most come first, those without a peer last."""
        peers = [statistics.median(ratios(item[1], name)) for name in item[1] if name not in programs]
        return min(peers, default=float("inf"))

    others = [name for name in programs if name != last]
    print("| what | " + " | ".join(f"{name}, s" for name in programs) + " | " +
          "".join(f"{name} ÷ {last} | " for name in others) + "peers ÷ " + last + " |")
    print("|---" * (2 + len(programs) + len(others)) + "|")
    for row, times in sorted(found, key=standing):
        peers = [f"{name} ×{spread(ratios(times, name))}" for name in times if name not in programs]
        cells = [row.words] + [spread(times[name], 3) for name in programs]
        cells += [spread(ratios(times, name)) for name in others] + ["; ".join(peers)]
        print("| " + " | ".join(cells) + " |")
    for words in sorted(skipped):
        print(f"skipped: {words}", file=sys.stderr)
    if options.check:
        check({row.name: statistics.median(times[last]) for row, times in found}, options.check)


def check(seconds, most):
    """Goals that are ratios of Chorus to itself, which no neighbour on the machine moves much."""
    start = seconds.get("start", 0)
    goals = []
    if {"K128", "K2048", "start"} <= seconds.keys():
        goals.append(("K = 2,048 beside 16 times K = 128", (seconds["K2048"] - start) / (16 * (seconds["K128"] - start))))
    if {"query", "start"} <= seconds.keys():
        goals.append(("a query of a saved context beside a start", seconds["query"] / start))
    for words, ratio in goals:
        print(f"{words}: {ratio:.2f}, at most {most}", file=sys.stderr)
    if any(ratio > most for _, ratio in goals):
        raise SystemExit("beyond the goal")


if __name__ == "__main__":
    main()
