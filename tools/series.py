"""Real series for developing and reporting forecasts: what they are, their halves, and the rows that are held out.

    python tools/series.py draw > tools/series_split.json      (once; the file is in the repository)

A unit of the draw is a file, or a region of visnights: columns of one file are never in different halves.
"""

import csv
import json
import os
import sys

import numpy as np

CONTEXT = 512

# name: (file, time column, value column, (column, value) to keep, rows in a season, kind of clock)
SERIES = {
    "h02": ("series/h02.csv", "time", "value", None, 12, "date"),
    "euretail": ("series/euretail.csv", "time", "value", None, 4, "date"),
    "qauselec": ("series/qauselec.csv", "time", "value", None, 4, "date"),
    "elecdaily": ("series/elecdaily.csv", "date", "Demand", None, 7, "date"),
    "melsyd-first": ("series/melsyd.csv", "week", "First.Class", None, 52, "date"),
    "melsyd-economy": ("series/melsyd.csv", "week", "Economy.Class", None, 52, "date"),
    "us_gasoline": ("series/us_gasoline.csv", "week", "barrels", None, 52, "date"),
    "ukdriverdeaths": ("series/ukdriverdeaths.csv", "time", "value", None, 12, "date"),
    "woolyrnq": ("series/woolyrnq.csv", "time", "value", None, 4, "date"),
    "co2": ("co2.csv", "date", "co2", None, 52, "date"),
    "elecdemand": ("elecdemand.csv", "time", "Demand", None, 48, "date"),
    "elecdemand-temperature": ("elecdemand.csv", "time", "Temperature", None, 48, "date"),
    "goog200": ("series/goog200.csv", "time", "value", None, 1, "number"),
    "sunspotarea": ("series/sunspotarea.csv", "time", "value", None, 1, "number"),
    "austa": ("series/austa.csv", "time", "value", None, 1, "number"),
    "airmiles": ("series/airmiles.csv", "time", "value", None, 1, "number"),
    "sunspot-month": ("series/sunspot-month.csv", "time", "value", None, 1, "date"),
    "sunspots": ("sunspots.csv", "YEAR", "SUNACTIVITY", None, 1, "number"),
}
REGIONS = ("NSWMetro NSWNthCo NSWNthIn NSWSthCo NSWSthIn OTHMetro OTHNoMet QLDCntrl QLDMetro QLDNthCo SAUCoast SAUInner "
           "SAUMetro VICEstCo VICInner VICMetro VICWstCo WAUCoast WAUInner WAUMetro").split()
for region in REGIONS:
    SERIES[f"visnights-{region}"] = ("series/visnights.csv", "quarter", "nights", ("region", region), 4, "date")


def draw(seed=20190601):
    """Half of the units of each stratum, by one shuffle each."""
    stream = np.random.default_rng(seed)
    unit = lambda name: name if name.startswith("visnights") else SERIES[name][0]
    strata = {
        "seasonal": [n for n in SERIES if SERIES[n][4] > 1 and not n.startswith("visnights")],
        "non-seasonal": [n for n in SERIES if SERIES[n][4] == 1],
        "visnights": [n for n in SERIES if n.startswith("visnights")],
    }
    halves = {"choose": {}, "report": {}}
    for stratum, names in strata.items():
        units = sorted({unit(name) for name in names})
        chosen = set(np.array(units)[stream.permutation(len(units))[:len(units) // 2]])
        for name in names:
            halves["choose" if unit(name) in chosen else "report"].setdefault(stratum, []).append(name)
    how = (f"tools/series.py draw: numpy default_rng({seed}), one permutation of the sorted units of each stratum, the first "
           "half to choose on. A unit is a file, or a region of visnights. Drawn before anything was tuned on these series.")
    return {"how": how, "seed": seed, **halves}


class Series:
    """`x` in rows' own unit: months, quarters or years where dates are such, days for other dates; `y`; rows in a season."""

    def __init__(self, folder, name):
        file, time, value, keep, self.season, kind = SERIES[name]
        self.name, self.time, self.value = name, time, value
        with open(os.path.join(folder, file), newline="") as stream:
            rows = [r for r in csv.DictReader(stream) if keep is None or r[keep[0]] == keep[1]]
        rows = [r for r in rows if r[value] not in ("", "NA")]
        self.text = [r[time] for r in rows]
        self.y = np.array([float(r[value]) for r in rows])
        if kind == "number":
            self.x, self.unit = np.array([float(t) for t in self.text]), None
        else:
            self.x, self.unit = clock(self.text)

    @property
    def steps(self):
        """Places of the rows on an even grid (for peers that need one)."""
        step = np.median(np.diff(self.x))
        return np.round((self.x - self.x[0]) / step).astype(int)


def clock(texts):
    """Dates that share a day of the month are counted in months, others in days."""
    stamps = np.array([np.datetime64(t) for t in texts])
    months = stamps.astype("datetime64[M]")
    offset = (stamps - months).astype("timedelta64[m]").astype(float)
    if len(stamps) > 2 and np.ptp(offset) == 0:
        return months.astype(float), "month"
    return stamps.astype("datetime64[m]").astype(float) / 1440, "day"


class Split:
    def __init__(self, kind, context, held):
        self.kind, self.context, self.held = kind, context, held


def horizon(season, rows):
    most = {1: 10, 4: 8, 7: 14, 12: 12, 48: 48, 52: 26}[season]
    return max(2, min(most, rows // 6))


def splits(series, ends=5, gaps=3):
    """Ends from 60 % of the rows to all, and gaps as long in the middle 80 %; at most `CONTEXT` rows shown."""
    rows = len(series.y)
    h = horizon(series.season, rows)
    out = []
    for part in np.linspace(0.6, 1, ends):
        stop = round(part * rows)
        out.append(Split("end", np.arange(max(0, stop - h - CONTEXT), stop - h), np.arange(stop - h, stop)))
    stream = np.random.default_rng([11, *series.name.encode()])
    for _ in range(gaps):
        first = int(stream.integers(round(0.1 * rows), round(0.9 * rows) - h))
        low = max(0, min(first - CONTEXT // 2, rows - CONTEXT - h))
        shown = np.arange(low, min(rows, low + CONTEXT + h))
        held = np.arange(first, first + h)
        out.append(Split("gap", np.setdiff1d(shown, held), held))
    return out


def half(name, path=None):
    """{stratum: names} of a half."""
    with open(path or os.path.join(os.path.dirname(os.path.abspath(__file__)), "series_split.json")) as stream:
        return json.load(stream)[name]


if __name__ == "__main__":
    if sys.argv[1:] != ["draw"]:
        sys.exit(__doc__)
    print(json.dumps(draw(), indent=1))
