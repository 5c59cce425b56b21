"""The page of `compare_series.py`: docs/comparison.md, made of the scores of all splits and methods."""

import math
import sys

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy import stats

from scoring import table

LABELS = {"gp": "GP", "gp-season": "GP with season", "structural": "structural"}


def paired(values, overlap):
    """Mean and half of its 95 % interval by Student's t; `overlap` is the correction of Nadeau and Bengio."""
    values = np.asarray(values)
    n = len(values)
    error = math.sqrt(values.var(ddof=1) * (1 / n + overlap))
    return values.mean(), error * stats.t.ppf(0.975, n - 1)


def wilson(inside, n):
    z = 1.959964
    share, weight = inside / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    margin = z / weight * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - margin, middle + margin


def span(pair, digits=3):
    return f"{pair[0]:+.{digits}f} ({pair[0] - pair[1]:+.{digits}f} to {pair[0] + pair[1]:+.{digits}f})"


def write_page(path, results, model, command, seconds):
    compared = []
    for title, case in results.items():
        own = case["scores"]["chorus"]
        for method, scores in case["scores"].items():
            if method == "chorus":
                continue
            difference = {name: paired([a[name] - b[name] for a, b in zip(own, scores)], case["overlap"])
                          for name in ("joint", "crps", "energy")}
            reencode = paired([a["reencode"] - b["joint"] for a, b in zip(own, scores)], case["overlap"])
            wins = sum(a["joint"] >= b["joint"] for a, b in zip(own, scores))
            compared.append((title, method, difference, reencode, wins, len(own)))

    def verdict(pair, sign):
        low, high = sorted((sign * (pair[0] - pair[1]), sign * (pair[0] + pair[1])))
        return "loses" if high < 0 else "wins" if low > 0 else "open"

    with open(path, "w") as stream:
        say = lambda text="": print(text, file=stream)
        say("# Chorus beside Gaussian processes and structural models\n")
        say("Made by `tools/compare_series.py`; do not edit by hand. Every split and method is a line of "
            "[comparison.csv](comparison.csv).\n")
        say(f"Model: {model}. Chorus is trained once, on drawn functions, and is fitted to nothing here; the others fit "
            "their hyperparameters to each context. All see the same rows: at most 512 of context, at most 64 held out, "
            "drawn once for all methods.\n")
        say("- **20 % at random**: of all rows; where more than 512 are left, a random 512 of them are the context, and 64 "
            "of the held-out ones are scored.\n"
            "- **last 10 %**: ten ends of the series, from 55 % of it to all; each time the last tenth of the rows before "
            "the end is held out, and at most the 569 rows before the end are used (512 + 57). elecdemand: ten weeks of "
            "the year, 336 rows each.\n"
            "- **GP**: scikit-learn's `GaussianProcessRegressor`, constant · (RBF, Matérn-3/2 or -5/2, a length-scale for "
            "each input) + white noise; two starts each (a smooth function in noise, and a rough one with hardly any), the "
            "highest marginal likelihood is taken.\n"
            "- **GP with season**: Matérn-3/2 + RBF · ExpSineSquared + white noise, which is told the period "
            "(year, day, 11 years; to be fitted within 30 %; one start). Chorus is not told.\n"
            "- **structural**: statsmodels' `UnobservedComponents`, told the period: trend + harmonics of the season (co2, "
            "elecdemand, with AR(1) too), level, AR(2) or damped stochastic cycle (sunspots); the least AIC is taken. Only where "
            "the series is evenly spaced and continued.\n")
        say("Log-densities are nats a value of the joint density of all held-out values, standardised by the context's "
            "mean and standard deviation (more is better). Chorus draws and scores values over its buffer (4 random "
            "orders); `re-encode` reads each value into the context before the next. CRPS and energy score (200 draws) "
            "are in the same units, less is better. Brackets: 95 % intervals of mean paired differences over the splits "
            "(Student's t; at random, where splits share rows, with the correction of Nadeau and Bengio 2003).\n")

        say("## What Chorus loses\n")
        losses = 0
        for word, sign, name in [("joint log-density", 1, "joint"), ("CRPS", -1, "crps"), ("energy score", -1, "energy")]:
            for title, method, difference, _, wins, n in sorted(compared, key=lambda c: sign * c[2][name][0]):
                if verdict(difference[name], sign) == "loses":
                    losses += 1
                    say(f"- **{title}**: {word} worse than {LABELS[method]}, {span(difference[name])}"
                        + (f"; no worse on {wins} of {n} splits." if name == "joint" else "."))
        for title, case in results.items():
            own = case["scores"]["chorus"]
            share = np.mean([s["coverage_90"] for s in own])
            if abs(share - 0.9) > 0.05:
                say(f"- **{title}**: 90 % intervals of single values hold {100 * share:.0f} %.")
                losses += 1
            inside, count = sum(s["sums_inside"] for s in own), sum(s["sums"] for s in own)
            if abs(inside / count - 0.9) > 0.05:
                low, high = wilson(inside, count)
                say(f"- **{title}**: 90 % intervals of sums hold {100 * inside / count:.0f} % of {count} "
                    f"({100 * low:.0f} to {100 * high:.0f}).")
                losses += 1
        say() if losses else say("Nothing that an interval shows.\n")

        say("## Joint log-density\n")
        order = sorted(compared, key=lambda c: c[2]["joint"][0])
        table(say, ["data", "against", "Chorus − other", "re-encode − other", "no worse on", ""], [
            [title, LABELS[method], span(difference["joint"]), span(reencode), f"{wins} of {n}",
             verdict(difference["joint"], 1)] for title, method, difference, reencode, wins, n in order])
        plain = [(wins, n) for _, method, _, _, wins, n in compared if method == "gp"]
        series = [(wins, n) for (title, method, _, _, wins, n) in compared
                  if method == "gp" and not title.startswith(("airquality", "diabetes", "concrete"))]
        count = lambda pairs: f"{sum(w for w, _ in pairs)} of {sum(n for _, n in pairs)}"
        say(f"Chorus is no worse than the GP on {count(series)} splits of series and on {count(plain)} of all.\n")

        say("## CRPS and energy score\n")
        table(say, ["data", "against", "CRPS, Chorus − other", "", "energy, Chorus − other", ""], [
            [title, LABELS[method], span(difference["crps"]), verdict(difference["crps"], -1), span(difference["energy"]),
             verdict(difference["energy"], -1)]
            for title, method, difference, *_ in sorted(compared, key=lambda c: -c[2]["crps"][0])])

        say("## Every method\n")
        say("Means over splits ± one standard error. Coverage is of central 90 % intervals; sums are of 16 neighbouring "
            "held-out values (of all, where there are fewer), brackets are Wilson's 95 %, as if sums were independent.\n")
        rows = []
        for title, case in results.items():
            for method, scores in case["scores"].items():
                mean = lambda name: (f"{np.mean([s[name] for s in scores]):.3f} ± "
                                     f"{np.std([s[name] for s in scores], ddof=1) / math.sqrt(len(scores)):.3f}")
                inside, count = sum(s["sums_inside"] for s in scores), sum(s["sums"] for s in scores)
                low, high = wilson(inside, count)
                rows.append([
                    title, LABELS.get(method, "Chorus"), f"{case['n']:.0f}, {case['k']:.0f}", mean("joint"), mean("independent"),
                    mean("crps"), mean("energy"), f"{100 * np.mean([s['coverage_90'] for s in scores]):.1f} %",
                    f"{100 * inside / count:.0f} % of {count} ({100 * low:.0f} to {100 * high:.0f})"])
        table(say, ["data", "method", "N, K", "joint", "independent", "CRPS", "energy", "single in 90 %", "sums in 90 %"], rows)

        say("## Command\n")
        say(f"    {command}\n")
        say(f"{seconds / 60:.0f} minutes of one core in all. Python {sys.version.split()[0]}, scikit-learn "
            f"{sklearn.__version__}, statsmodels {statsmodels.__version__}, scipy {scipy.__version__}, numpy {np.__version__}.")
