"""Rows with known errors, beside exact Gaussian conditioning that knows process and errors: the tables of docs/asking.md.

    python tools/known_errors.py --chorus .build/release/chorus [--series 12] [--rows 60] [--tables]

Needs numpy. Series are drawn from an Ornstein-Uhlenbeck process, a smooth one and one with a season, of variance 1 and with noise of
their own; tables from a straight, a smooth and a rough function of two of three columns. Every line is a level of errors, over all processes: what `chorus score` with and without `--error` loses to the exact joint
log-density in nats a value, its CRPS as a ratio to the exact one, and how many values lie in its central 90 %.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile

import numpy as np

PROCESSES = [
    (0.3, lambda d: np.exp(-d / 8)),
    (0.1, lambda d: np.exp(-0.5 * (d / 5) ** 2)),
    (0.3, lambda d: 0.7 * np.exp(-0.5 * (2 * np.sin(np.pi * d / 12)) ** 2) + 0.3 * np.exp(-d / 20)),
]
# A typical error, in deviations of the process, and the factors of which each row has one by chance.
LEVELS = [(0, (1,)), (0.3, (1,)), (0.3, (0.1, 3)), (1, (1,)), (1, (0.1, 3)), (3, (1,)), (3, (0.1, 3))]


def crps(mean, deviation, y):
    """Of a normal law."""
    z = (y - mean) / deviation
    below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    return deviation * (z * (2 * below - 1) + 2 * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi))


# The same of rows of tables, by their differences in three columns.
FUNCTIONS = [
    (0.3, lambda d, x: 0.7 * x[:, None, 0] * x[None, :, 0] + 0.3 * x[:, None, 1] * x[None, :, 1]),
    (0.2, lambda d, x: np.exp(-0.5 * (d[..., 0] ** 2 + 0.3 * d[..., 1] ** 2))),
    (0.3, lambda d, x: np.exp(-np.abs(d[..., 0]) - 0.3 * np.abs(d[..., 1]))),
]


class Task:
    """Rows with errors, and others whose values are asked for without: of series, places in gaps and ahead."""

    def __init__(self, process, level, factors, rows, stream, table):
        noise, covariance = process
        if table:
            self.names, self.more = "a,b,c", ["--model", "tables"]
            n, self.x = rows - 6, stream.standard_normal((rows + 18, 3))
            own = covariance(self.x[:, None] - self.x[None], self.x)
        else:
            gaps = [7, 8, 21, 33, 34, 50] if rows >= 60 else [4, 9]
            held = [g for g in gaps if g < rows] + [rows + h for h in (0, 1, 2, 4, 7, 11)]
            shown = [r for r in range(rows) if r not in gaps]
            self.names, self.more = "t", ["--scale", "raw"]
            n, self.x = len(shown), np.array(shown + held, float)[:, None]
            own = covariance(np.abs(self.x - self.x.T))
        self.count = n
        own = own + noise**2 * np.eye(len(self.x))
        z = np.linalg.cholesky(own) @ stream.standard_normal(len(self.x))
        self.errors = np.zeros(len(self.x))
        self.errors[:n] = level * stream.choice(factors, n)
        self.y = z + self.errors * stream.standard_normal(len(self.x))
        factor = np.linalg.cholesky(own + np.diag(self.errors**2))
        white = np.linalg.solve(factor, self.y)
        deviations = np.diag(factor)[n:]
        self.joint = np.mean(-0.5 * white[n:] ** 2 - np.log(deviations) - 0.5 * math.log(2 * math.pi))
        means = factor[n:, :n] @ white[:n]
        spread = np.sqrt(np.diag(own)[n:] - (factor[n:, :n] ** 2).sum(1))
        self.crps = np.mean([crps(m, s, y) for m, s, y in zip(means, spread, self.y[n:])])

    def scored(self, program, folder, more):
        path = os.path.join(folder, "series.csv")
        with open(path, "w") as stream:
            stream.write(f"{self.names},y,e,split\n")
            for row, values in enumerate(zip(self.x, self.y, self.errors)):
                numbers = [*values[0], *values[1:]]
                stream.write(",".join(repr(float(v)) for v in numbers) + (",context\n" if row < self.count else ",held-out\n"))
        command = [program, "score", path, "--input", self.names, "--target", "y", "--splits", "split", "--orders", "4",
                   "--samples", "2", "--format", "jsonl", "--quiet", "--threads", "1"] + more
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found = [line for line in map(json.loads, lines) if line["units"] == "file"][-1]
        return found["buffer"], found["crps"], found["coverage_90"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chorus", default=".build/release/chorus")
    parser.add_argument("--series", type=int, default=12, help="of each process")
    parser.add_argument("--rows", type=int, default=60, help="those in gaps among them; of tables six fewer are shown")
    parser.add_argument("--tables", action="store_true", help="rows of tables, 24 of which are asked for")
    options = parser.parse_args()
    print("| errors | joint − exact | without `--error` | CRPS / exact | without | in 90 % |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for level, factors in LEVELS:
            table = []
            for place, process in enumerate(FUNCTIONS if options.tables else PROCESSES):
                for seed in range(options.series):
                    stream = np.random.default_rng([place, seed])
                    task = Task(process, level, factors, options.rows, stream, options.tables)
                    known = ["--error", "e"] + (task.more if options.tables else [])
                    with_, without = (task.scored(options.chorus, folder, more) for more in (known, task.more))
                    table.append([with_[0] - task.joint, without[0] - task.joint, with_[1], without[1], task.crps, with_[2]])
            table = np.array(table)
            mean, error = table.mean(0), table.std(0, ddof=1) / math.sqrt(len(table))
            words = " or ".join(f"{level * f:g}" for f in factors)
            print(f"| {words} | {mean[0]:+.2f} ± {error[0]:.2f} | {mean[1]:+.2f} ± {error[1]:.2f} | {mean[2] / mean[4]:.2f} "
                  f"| {mean[3] / mean[4]:.2f} | {mean[5]:.0%} |", flush=True)


if __name__ == "__main__":
    main()
