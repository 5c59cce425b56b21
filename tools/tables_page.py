"""The page of `compare_tables.py`: docs/tables.md, made of the lines of its results."""

import collections
import math

import tables
from scoring import interval, table

import numpy as np

LABELS = {"chorus": "Chorus", "ridge": "ridge", "gp": "GP", "forest": "quantile forest", "lightgbm": "LightGBM",
          "boosting": "boosting", "ngboost": "NGBoost", "catboost": "CatBoost", "logistic": "logistic regression",
          "trees": "random forest", "frequencies": "frequencies"}
# metric: (what it is called, whether more is better, what is worth telling: nats, or a share)
METRICS = {"joint": ("joint log-density", True, 0.02), "energy": ("energy score", False, None),
           "log": ("log-density", True, 0.02), "crps": ("CRPS", False, None), "rmse": ("RMSE", False, None),
           "brier": ("Brier score", False, None), "accuracy": ("accuracy", True, 0.02)}
TELLING_SHARE = 0.02
KINDS = {"unordered": "Unordered tables", "dependent": "Dependent tables (ordered or grouped)", "classes": "Classes"}


def named(metric, kind):
    return "log-probability" if metric == "log" and kind == "classes" else METRICS[metric][0]


def label(method):
    for ending, words in [("+copula", " + copula"), (" joint", ", its joint law"), (" alone", ", each row alone"),
                          (" pool", ", estimators alone")]:
        if method.endswith(ending):
            return LABELS.get(method[:-len(ending)], method[:-len(ending)]) + words
    return LABELS.get(method, method)


class Results:
    """Means over splits: `mean[kind][size][table][method][metric]`. A method counts on a table where all splits are there."""

    def __init__(self, rows, parts):
        catalogue, drawn = tables.catalogue(), tables.drawn()
        named = {name for part in parts for names in drawn[part].values() for name in names}
        lines = collections.defaultdict(list)
        for row in rows:
            if row["table"] in named:
                lines[row["table"], int(row["size"]), row["method"]].append(row)
        self.mean, self.methods, self.shown = {kind: {} for kind in KINDS}, [], {}
        for (name, size, method), found in lines.items():
            if len({row["seed"] for row in found}) < tables.SEEDS:
                continue
            kind = catalogue[name]["kind"]
            kind = kind if kind in KINDS else "dependent"
            cell = self.mean[kind].setdefault(size, {}).setdefault(name, {})
            cell[method] = self.average(found)
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
    for metric, (words, _, telling) in METRICS.items():
        found, count = [], 0
        for kind, size, name, cell in cells(results, metric, mine):
            others, own = compared(metric, cell, mine), cell[mine][metric]
            if not others:
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
        metrics = ["log", "brier", "accuracy"] if kind == "classes" else ["joint", "energy", "log", "crps", "rmse"]
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
    goal(say, results, mine)


def told(metric, pairs, stream):
    if not pairs:
        return "–"
    found, ahead = interval(pairs, stream), sum(p > 0 for p in pairs)
    if METRICS[metric][2] is None:
        text = "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * np.expm1(v) for v in found))
    else:
        text = "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)
    return f"{text}, {ahead} of {len(pairs)}"


def goal(say, results, mine):
    """Dependent tables on which it is ahead of all others at few rows, by the mean over N."""
    few = [size for size in results.mean["dependent"] if size <= 64]
    ahead, count = {"joint": 0, "energy": 0}, 0
    for name in {n for size in few for n in results.mean["dependent"][size]}:
        found = [c for c in (results.mean["dependent"][size].get(name, {}) for size in few) if mine in c]
        if not found:
            continue
        count += 1
        for metric in ahead:
            others = set.intersection(*(set(compared(metric, c, mine)) for c in found))
            mean = lambda m: np.mean([c[m][metric] for c in found])
            ahead[metric] += all(gain(metric, mean(mine), mean(other)) > 0 for other in others)
    if count:
        say("With N ≤ 64 Chorus is ahead of every other, rows alone and with a copula, in joint log-density on "
            f"{ahead['joint']} and in energy score on {ahead['energy']} of {count} dependent tables.\n")


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
                table(say, ["method", "log-loss", "Brier", "accuracy", "calibration error", "seconds"], [
                    [label(m), f"{-mean(m, 'log'):.3f}", f"{mean(m, 'brier'):.3f}", f"{mean(m, 'accuracy'):.3f}",
                     f"{mean(m, 'calibration'):.3f}", f"{mean(m, 'seconds'):.2f}"] for m in methods])
                continue
            table(say, ["method", "joint", "energy", "log", "CRPS", "RMSE", "in 50 / 90 %", "sums in 50 / 90 %", "seconds"], [
                [label(m), *(f"{mean(m, metric):.3f}" for metric in ("joint", "energy", "log", "crps", "rmse")),
                 f"{100 * mean(m, 'in50'):.0f} / {100 * mean(m, 'in90'):.0f}",
                 f"{share(m, 'sums50'):.0f} / {share(m, 'sums90'):.0f}", f"{mean(m, 'seconds'):.2f}"] for m in methods])


def every(say, results):
    say("## Every table\n")
    for kind, sizes in results.mean.items():
        for metric in ["log"] if kind == "classes" else ["joint", "log", "crps"]:
            methods = [m for m in results.methods if any(m in c for cells in sizes.values() for c in cells.values())
                       and (metric == "joint" or not m.endswith((" joint", "+copula", " alone")))]
            if not methods:
                continue
            score = lambda cell, m: f"{cell[m][metric]:.3f}" if m in cell else "–"
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
        "ones.\n"
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
        "- **calibration error**: of the likeliest class, ten bins, all splits of a table together. Seconds are of one thread, left-out "
        "rows included.\n"
        "- TabPFN and TabICL are left out: their Python packages (9.2.0, 2.2.0) carry no weights and load them from the network at "
        "first use.\n")
    for mine in own:
        losses(say, results, mine)
        against(say, results, mine)
    means(say, results)
    every(say, results)
    what(say, parts)
    return "\n".join(out) + "\n"
