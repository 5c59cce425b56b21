"""The page of `compare_tables.py`: docs/tables.md, made of the lines of its results."""

import collections
import math

import tables
from scoring import interval, table

import numpy as np

LABELS = {"chorus": "Chorus", "ridge": "ridge", "gp": "GP", "forest": "quantile forest", "lightgbm": "LightGBM",
          "boosting": "boosting", "ngboost": "NGBoost", "catboost": "CatBoost", "logistic": "logistic regression",
          "trees": "random forest", "frequencies": "frequencies", "cells": "cells"}
# metric: (what it is called, whether more is better, what is worth telling: nats, or a share)
METRICS = {"joint": ("joint log-density", True, 0.02), "energy": ("energy score", False, None),
           "log": ("log-density", True, 0.02), "crps": ("CRPS", False, None), "rmse": ("RMSE", False, None),
           "brier": ("Brier score", False, None), "accuracy": ("accuracy", True, 0.02)}
TELLING_SHARE = 0.02
KINDS = {"unordered": "Unordered tables", "dependent": "Dependent tables (ordered or grouped)", "classes": "Classes"}


OF_CLASSES = {"joint": "joint log-probability", "energy": "energy score of counts", "log": "log-probability"}


def named(metric, kind):
    return OF_CLASSES.get(metric, METRICS[metric][0]) if kind == "classes" else METRICS[metric][0]


def label(method):
    for ending, words in [("+copula", " + copula"), (" joint", ", its joint law"), (" alone", ", each row alone"),
                          (" pool", ", estimators alone")]:
        if method.endswith(ending):
            return LABELS.get(method[:-len(ending)], method[:-len(ending)]) + words
    return LABELS.get(method, method)


class Results:
    """Means over splits: `mean[kind][size][table][method][metric]`. A method counts on a table where all splits are there.

    `split[table, size, method][metric]` has the scores of the splits, in their order.
    """

    def __init__(self, rows, parts):
        catalogue, drawn = tables.catalogue(), tables.drawn()
        named = {name for part in parts for names in drawn[part].values() for name in names}
        lines = collections.defaultdict(list)
        for row in rows:
            if row["table"] in named:
                lines[row["table"], int(row["size"]), row["method"]].append(row)
        self.mean, self.methods, self.shown, self.split = {kind: {} for kind in KINDS}, [], {}, {}
        for (name, size, method), found in lines.items():
            if len({row["seed"] for row in found}) < tables.SEEDS:
                continue
            kind = catalogue[name]["kind"]
            kind = kind if kind in KINDS else "dependent"
            cell = self.mean[kind].setdefault(size, {}).setdefault(name, {})
            cell[method] = self.average(found)
            ordered = sorted(found, key=lambda row: int(row["seed"]))
            self.split[name, size, method] = {m: np.array([float(row[m]) for row in ordered])
                                              for m in ("joint", "energy") if found[0].get(m)}
            self.shown[name, size] = np.mean([int(row["shown"]) for row in found])
            if method not in self.methods:
                self.methods.append(method)
        self.methods.sort(key=lambda m: (not self.own(m), list(LABELS).index(self.stem(m)) if self.stem(m) in LABELS else -1, m))

    @staticmethod
    def average(rows):
        out = {}
        for metric in ("rmse", "crps", "log", "in50", "in90", "joint", "energy", "brier", "accuracy", "seconds"):
            if rows[0][metric] != "":
                out[metric] = np.mean([float(row[metric]) for row in rows])
        for metric in ("sums", "sums50", "sums90"):
            if rows[0][metric] != "":
                out[metric] = sum(int(row[metric]) for row in rows)
        if rows[0]["bins"]:
            bins = np.array([[float(b) for b in row["bins"].split()] for row in rows])
            out["calibration"] = np.abs(bins.sum(0)).sum() / (len(rows) * tables.ASKED)
        return out

    @staticmethod
    def stem(method):
        return method.split("+")[0].split(" ")[0]

    def own(self, method):
        return self.stem(method) not in set(LABELS) - {"chorus"}


def gain(metric, mine, other):
    """How much `mine` is ahead: nats, or a share of the other's score."""
    _, more, telling = METRICS[metric]
    if telling is not None:
        return (mine - other) if more else (other - mine)
    return math.log(other / mine)


def compared(metric, cell, mine):
    """Others that say the metric; where rows are judged together, copulas, joint laws and its own rows each alone too."""
    others = {m: scores[metric] for m, scores in cell.items() if metric in scores and m != mine}
    if metric in ("joint", "energy"):
        return {m: score for m, score in others.items() if m == f"{mine} alone" or not m.endswith(" alone")}
    return {m: score for m, score in others.items() if not m.endswith((" alone", " joint", "+copula"))}


def cells(results, metric=None, mine=None):
    """(kind, size, table, cell), of those where the method says the metric."""
    for kind, sizes in results.mean.items():
        for size in sorted(sizes):
            for name, cell in sorted(sizes[size].items()):
                if mine is None or metric in cell.get(mine, {}):
                    yield kind, size, name, cell


def losses(say, results, mine):
    say("## What Chorus loses\n")
    say("Beside the best of all others on each table, chosen afterwards: where it is behind by more than .02 nats (.02 of accuracy), "
        f"or by more than {100 * TELLING_SHARE:.0f} %, worst first.\n")
    for metric, words in dict.fromkeys((metric, named(metric, kind)) for metric in METRICS for kind in KINDS):
        telling, found, count = METRICS[metric][2], [], 0
        for kind, size, name, cell in cells(results, metric, mine):
            others, own = compared(metric, cell, mine), cell[mine][metric]
            if not others or named(metric, kind) != words:
                continue
            best = min(others, key=lambda m: gain(metric, own, others[m]))
            ahead, count = gain(metric, own, others[best]), count + 1
            if ahead < -(telling or TELLING_SHARE):
                behind = f"{-ahead:.3f}" if telling is not None else f"{100 * math.expm1(-ahead):.1f} %"
                found.append((ahead, [name, str(size), f"{own:.3f}", f"{others[best]:.3f}", label(best), behind]))
        if count:
            say(f"**{words[0].upper() + words[1:]}**: behind on {len(found)} of {count} (table and N).\n")
        if found:
            table(say, ["table", "N", "Chorus", "best other", "", "behind by"], [row for _, row in sorted(found)])
    found, count = [], 0
    for _, size, name, cell in cells(results, "in50", mine):
        inside, count = (cell[mine]["in50"], cell[mine]["in90"]), count + 1
        off = max(abs(inside[0] - 0.5), abs(inside[1] - 0.9))
        if off > 0.08:
            found.append((-off, [name, str(size), *(f"{100 * share:.0f} %" for share in inside)]))
    if count:
        say(f"**Coverage of single values**: off by more than 8 points on {len(found)} of {count}.\n")
    if found:
        table(say, ["table", "N", "in 50 %", "in 90 %"], [row for _, row in sorted(found)])


def against(say, results, mine):
    say("## Against each other method\n")
    say("Means of differences over tables: nats, accuracy, or by how many per cent the other's score is above that of Chorus (geometric mean); more is better for Chorus. Brackets: 95 % "
        "of 2,000 bootstraps over tables; then the tables on which it is ahead.\n")
    stream = np.random.default_rng(5)
    for kind, sizes in results.mean.items():
        metrics = ["joint", "energy", "log"] + (["brier", "accuracy"] if kind == "classes" else ["crps", "rmse"])
        metrics = [metric for metric in metrics if has(sizes, metric)]
        for size in sorted(sizes):
            rows = []
            for other in results.methods:
                gains = {metric: [gain(metric, c[mine][metric], compared(metric, c, mine)[other]) for c in sizes[size].values()
                                  if metric in c.get(mine, {}) and other in compared(metric, c, mine)] for metric in metrics}
                if any(gains.values()):
                    rows.append([label(other), *(told(metric, pairs, stream) for metric, pairs in gains.items())])
            if rows:
                say(f"### {KINDS[kind]}, N = {size}\n")
                table(say, ["against", *(named(m, kind) for m in metrics)], rows)


def has(sizes, metric):
    return any(metric in scores for cells in sizes.values() for cell in cells.values() for scores in cell.values())


def told(metric, pairs, stream):
    if not pairs:
        return "–"
    found, ahead = interval(pairs, stream), sum(p > 0 for p in pairs)
    if METRICS[metric][2] is None:
        text = "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * np.expm1(v) for v in found))
    else:
        text = "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)
    return f"{text}, {ahead} of {len(pairs)}"


FEW = 64
# The family `cells` says rows together as Chorus does: no rival of its kind is named in the goal.
RIVALS = {"rows alone": lambda m: m != "cells" and not m.endswith(("+copula", " joint")), "copulas": lambda m: m.endswith("+copula"),
          "GP's joint law": lambda m: m.endswith(" joint")}


def goal(say, results, mine):
    """What was to be reached on the dependent tables of both halves at few rows: ahead of rows by themselves and of copulas."""
    halves, found = tables.drawn(), {}
    for name in sorted({n for size, cells in results.mean["dependent"].items() if size <= FEW for n in cells}):
        sizes = [size for size, cells in results.mean["dependent"].items() if size <= FEW and mine in cells.get(name, {})]
        if sizes:
            found[name] = {metric: leads(results, name, sizes, metric, mine) for metric in ("joint", "energy")}
    if not found:
        return
    part = {name: part for part in ("choose", "report") for names in halves[part].values() for name in names}

    def count(metrics, rivals, half="choose report"):
        leading = lambda scores: all(scores[m][r][0] > 0 for m in metrics for r in rivals if r in scores[m])
        return sum(leading(scores) for name, scores in found.items() if part[name] in half)

    asked, both = list(RIVALS)[:2], ["joint", "energy"]
    say(f"### The goal: dependent tables of both halves, N ≤ {FEW}\n")
    say("It was to be ahead, on 8 of the ten, of all that say each row by itself (its own marginals among them) and of all copulas, "
        f"in joint log-density and in energy score. In both it is on {count(both, asked)} of {len(found)}, of those to report on "
        f"{count(both, asked, 'report')}; in joint log-density on {count(['joint'], asked)}, in energy score on "
        f"{count(['energy'], asked)}. With the joint law of the GP, which the goal does not name, it is {count(both, RIVALS)}, "
        f"{count(['joint'], RIVALS)} and {count(['energy'], RIVALS)}.\n")
    lines = []
    for size in sorted(size for size in results.mean["dependent"] if size <= FEW):
        cells = [c[mine] for c in results.mean["dependent"][size].values() if mine in c]
        total = sum(c["sums"] for c in cells)
        lines.append("{:.0f} % in 50 % and {:.0f} % in 90 % at N = {}".format(
            *(100 * sum(c[m] for c in cells) / total for m in ("sums50", "sums90")), size))
    say("Sums of 16 were to be covered within 5 points: " + "; ".join(lines) + ".\n")
    say("Gains over the best of each kind, chosen afterwards, least first: means over N with standard errors over five splits, in nats a "
        "value and in per cent of the energy score.\n")
    nats = lambda cell: f"{cell[0]:+.3f} ± {cell[1]:.3f}" if cell else "–"
    share = lambda cell: f"{100 * math.expm1(cell[0]):+.1f} ± {100 * cell[1]:.1f}" if cell else "–"
    rows = []
    for name in sorted(found, key=lambda n: min(found[n][metric][r][0] for metric in both for r in asked)):
        cells = [c[name][mine] for size, c in results.mean["dependent"].items() if size <= FEW and mine in c.get(name, {})]
        inside = [sum(c[metric] for c in cells) for metric in ("sums50", "sums90", "sums")]
        rows.append([name, f"to {'choose on' if part[name] == 'choose' else 'report'}",
                     *(nats(found[name]["joint"].get(r)) for r in RIVALS), *(share(found[name]["energy"].get(r)) for r in RIVALS),
                     f"{100 * inside[0] / inside[2]:.0f} / {100 * inside[1] / inside[2]:.0f}"])
    table(say, ["table", "half", *(f"joint: {r}" for r in RIVALS), *(f"energy: {r}" for r in RIVALS), "sums of 16 in 50 / 90 %"], rows)


def leads(results, name, sizes, metric, mine):
    """Of each kind of rival the gain over the best one, and its standard error over splits: means over sizes."""
    out = {}
    for kind, isOne in RIVALS.items():
        gains = {}
        for other in results.methods:
            if not isOne(other) or other == mine or other.endswith(" alone") and other != f"{mine} alone":
                continue
            pairs = [tuple(results.split[name, size, m][metric] for m in (mine, other)) for size in sizes
                     if (name, size, other) in results.split]
            if len(pairs) == len(sizes):
                means = [gain(metric, np.mean(own), np.mean(them)) for own, them in pairs]
                # Of a share: differences in units of its own mean.
                spread = np.mean([own - them if metric == "joint" else (them - own) / np.mean(own) for own, them in pairs], axis=0)
                gains[other] = (np.mean(means), spread.std(ddof=1) / math.sqrt(len(spread)))
        if gains:
            out[kind] = min(gains.values())
    return out


def means(say, results):
    say("## Means over tables\n")
    say("Tables that all methods in a part have been run on. Coverage in per cent of single values and of sums of 16 (all tables "
        "together).\n")
    for kind, sizes in results.mean.items():
        for size in sorted(sizes):
            full = max((len(cell) for cell in sizes[size].values()), default=0)
            found = {name: cell for name, cell in sizes[size].items() if len(cell) == full}
            say(f"### {KINDS[kind]}, N = {size}: {', '.join(found)}\n")
            methods = [m for m in results.methods if all(m in cell for cell in found.values())]
            mean = lambda m, metric: np.mean([cell[m][metric] for cell in found.values()])
            share = lambda m, metric: 100 * sum(c[m][metric] for c in found.values()) / sum(c[m]["sums"] for c in found.values())
            if kind == "classes":
                words = {"joint": "joint", "energy": "energy", "log": "log", "brier": "Brier", "accuracy": "accuracy",
                         "calibration": "calibration error"}
                scores = [metric for metric in words if has(sizes, metric)]
                table(say, ["method", *(words[metric] for metric in scores), "seconds"], [
                    [label(m), *(f"{mean(m, metric):.3f}" if all(metric in cell[m] for cell in found.values()) else "–"
                                 for metric in scores), f"{mean(m, 'seconds'):.2f}"] for m in methods])
                continue
            table(say, ["method", "joint", "energy", "log", "CRPS", "RMSE", "in 50 / 90 %", "sums in 50 / 90 %", "seconds"], [
                [label(m), *(f"{mean(m, metric):.3f}" for metric in ("joint", "energy", "log", "crps", "rmse")),
                 f"{100 * mean(m, 'in50'):.0f} / {100 * mean(m, 'in90'):.0f}",
                 f"{share(m, 'sums50'):.0f} / {share(m, 'sums90'):.0f}", f"{mean(m, 'seconds'):.2f}"] for m in methods])


def every(say, results):
    say("## Every table\n")
    for kind, sizes in results.mean.items():
        for metric in ["joint", "log"] if kind == "classes" else ["joint", "log", "crps"]:
            methods = [m for m in results.methods if any(m in c for cells in sizes.values() for c in cells.values())
                       and (metric == "joint" or not m.endswith((" joint", "+copula", " alone")))]
            if not methods or not has(sizes, metric):
                continue
            score = lambda cell, m: f"{cell[m][metric]:.3f}" if metric in cell.get(m, {}) else "–"
            rows = [[name, f"{results.shown[name, size]:.0f}", *(score(cell, m) for m in methods)]
                    for size in sorted(sizes) for name, cell in sorted(sizes[size].items())]
            say(f"### {KINDS[kind]}: {named(metric, kind)}\n")
            table(say, ["table", "N", *map(label, methods)], rows)


def what(say, parts):
    catalogue, drawn = tables.catalogue(), tables.drawn()
    say("## Tables\n")
    rows = []
    for part in parts:
        for kind, names in drawn[part].items():
            for name in names:
                about = catalogue[name]
                by = f" by {', '.join(about['by'])}" if "by" in about else ""
                rows.append([name, kind + by, part, f"{drawn['tables'][name]['rows']:,}", about["target"],
                             f"{about.get('package', about['source'])}: {about['item']}", about["licence"]])
    table(say, ["table", "kind", "half", "rows", "target", "source", "licence"], rows)


def partly(say, results):
    """Sizes at which some of the others have yet to be run."""
    stems = lambda cells: {results.stem(m) for cell in cells.values() for m in cell if not results.own(m)}
    for kind, sizes in results.mean.items():
        known = set().union(*(stems(cells) for cells in sizes.values()))
        for size in sorted(sizes):
            run = stems(sizes[size])
            if run != known:
                words = ", ".join(sorted(LABELS[m] for m in run)) or "none"
                say(f"At N = {size}, {KINDS[kind][0].lower()}{KINDS[kind][1:]}: of the others these have been run: {words}. Losses are "
                    "beside them alone.\n")


def page(rows, half):
    parts = ("choose", "report") if half == "both" else (half,)
    results, out = Results(rows, parts), []
    say = lambda text="": out.append(text)
    own = [m for m in results.methods if results.own(m) and not m.endswith((" alone", " pool"))]
    say("# Chorus beside what a user would run on a table\n")
    say("What can be asked of a table is in [asking.md](asking.md).\n")
    say("Made by `tools/compare_tables.py`; do not edit by hand. Tables and rows were drawn before anything was trained "
        "(tools/tables.json, tools/tables_split.json): five splits a table, N rows shown (where N = 512, all that are left if these "
        "are 360 or more), 64 asked for." + ("" if own else " Chorus is yet to be run.") + "\n")
    say("- Scores are of the target in units of the context's mean and standard deviation. A log-density is in nats a value; below −12 "
        "it counts as −12, for every method. CRPS is by 199 quantiles.\n"
        "- **joint** and **energy** are of blocks of 16 rows together (energy by 400 draws): at random in unordered tables, contiguous "
        "in ordered ones (three within the stretch shown, one at its end), rows of one group, of which three rows are shown, in grouped "
        "ones. Of classes: the log-probability a row of 16 rows together, and the energy score of how many of them each class has; all "
        "but Chorus say each row by itself. As **each row alone** Chorus's own probabilities are multiplied.\n"
        "- **ridge**: strength and error by leaving one out. **GP**: scikit-learn's, Matérn-3/2 with a length-scale an input (a "
        "category's levels share theirs) + white noise. **quantile forest**; **boosting**: scikit-learn's, a model for each of five "
        "quantiles; **LightGBM** and **CatBoost** (300 trees): means; **NGBoost**: normal, stopped early by a fifth. For all but "
        "ridge, rows left out in three folds choose a factor of the spread and a width added. A law of quantiles is normal kernels of "
        "that width around a hundred of them; a boosted mean gets a normal law.\n"
        "- **+ copula**: a Gaussian copula of the normal scores of left-out rows. ordered: correlation a·exp(−distance in order / l), left "
        "out in runs of 16 rows; grouped: one correlation for rows of a group, half of whose rows are left out at once. Candidates "
        "are averaged by their likelihood. In unordered tables rows do not go together beyond what the inputs say, so there is "
        "none. **its joint law**: of the GP, widened likewise.\n"
        "- **Chorus, estimators alone**: of classes, the pool that the network of classes judges (`--model tables`).\n"
        "- **cells**: the paper's architecture, columns before rows and nothing told, with the buffer, after 128,000 tasks and 41 minutes "
        "of a core ([models.md](models.md), \"Cells instead of estimators\"). It is not shipped: `chorus train "
        "docs/training/tables-cells-long.json --out RUN` makes it.\n"
        "- **calibration error**: of the likeliest class, ten bins, all splits of a table together. Seconds are of one thread, left-out "
        "rows included.\n"
        "- TabPFN and TabICL are left out: their Python packages (9.2.0, 2.2.0) carry no weights and load them from the network at "
        "first use.\n")
    partly(say, results)
    for mine in own:
        losses(say, results, mine)
        against(say, results, mine)
        goal(say, Results(rows, ("choose", "report")), mine)
    means(say, results)
    every(say, results)
    what(say, parts)
    return "\n".join(out) + "\n"
