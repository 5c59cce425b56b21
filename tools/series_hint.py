"""Reference of the series hint (docs/series-hint.md) in float64: short rather than fast, dense where Swift filters.

    fit = Hint(x, y, clock="day")        # rows of one series, any places; clock: "day", "month" or None
    fit.at(asked)                        # foretold values, their covariance, the noise included, of the transformed y
    fit.left_out()                       # the same for each row from the others: means and deviations

y is modelled, after a power transform, as

    intercept + slope + level(t) + seasons(t) + noise,

a Gaussian process of which the level is Markov and the rest a ridge regression, so that every choice (transform, periods,
level, ridge) is made by one closed-form evidence.
"""

import math

import numpy as np
from scipy.linalg import cholesky, solve_triangular

YEAR = 365.2425
CALENDAR = {"day": (YEAR, 7.0, 1.0, 1 / 24), "month": (12.0,), None: ()}
POWERS = (1.0, 0.0, 0.5)
MARGIN = 2.0                     # nats that another transform than none has to gain
STRENGTH = tuple(10.0 ** k for k in range(-2, 5))
DECAY = (0.0, 1.0, 2.0, 3.0)
CHANGE = (0.0, 0.01, 0.1, 1.0)
SLOPE = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
STARTS = (("none", 0.0, 0.0), ("walk", 0.02, 0.0), ("walk", 0.4, 0.0), ("walk", 20.0, 0.0), ("trend", 0.2, 4.0),
          ("trend", 20.0, 4.0), ("trend", 0.2, 24.0), ("reverting", 2.0, 2.0), ("reverting", 2.0, 8.0),
          ("reverting", 2.0, 30.0), ("reverting", 30.0, 30.0))
RATIOS, LENGTHS = (1e-4, 300.0), (1.0, 100.0)
PERIODS, SWINGS, CYCLE = (4.0, 256.0), (0.2, 5.0), 6.0   # of cycles: rows, lengths in periods, nats for one
KNOTS, CYCLES_A_KNOT, CHANGING, MEMORY = 4, 2, 4, 8
COLUMNS, WAVES = 64, 26
FEWEST, FEWEST_CYCLES, FINENESS = 8, 1.5, 4
OUTLIER, FAR = 4.5, 6.0
MOST, SKETCH = 4096, 12          # frequencies looked at, harmonics while periods are compared
TOLD, LAG, TOP = 2.0, 4.0, 7.0   # nats for a period of the calendar, and against a whole lag or another


def transform(y, power):
    return y if power == 1 else np.log(y) if power == 0 else (np.maximum(y, 0) ** power - 1) / power


def log_jacobian(y, power):
    return 0.0 if power == 1 else float(((power - 1) * np.log(np.maximum(y, 1e-300))).sum())


def variogram(level, d):
    """Half the variance of the level's difference over a distance of d rows."""
    kind, ratio, length = level
    if kind == "walk":
        return ratio * d / 2
    return ratio / 2 * (d - length * -np.expm1(-d / length))


def kernel(level, a, b):
    d = np.abs(a[:, None] - b[None])
    if level[0] == "none":
        return np.zeros_like(d)
    if level[0] == "reverting":
        return level[1] * np.exp(-d / level[2])
    if level[0] == "cycle":
        turn, k = 2 * math.pi * d / level[3], level[3] / (2 * math.pi * level[2])
        return level[1] * np.exp(-d / level[2]) * (np.cos(turn) + k * np.sin(turn))
    # From one row before the first; the intercept makes the place of it indifferent.
    return variogram(level, np.abs(a + 1))[:, None] + variogram(level, np.abs(b + 1))[None] - variogram(level, d)


class Season:
    """A period in rows and its harmonics."""

    def __init__(self, period, harmonics):
        self.period, self.harmonics = period, harmonics

    def waves(self, t, count=None):
        """[(harmonic, column)]; of a wave of two rows only the cosine."""
        out = []
        for h in self.harmonics[:count]:
            angle = 2 * math.pi * h * t / self.period
            out.append((h, np.cos(angle)))
            if abs(self.period - 2 * h) > 1e-6:
                out.append((h, np.sin(angle)))
        return out


class Design:
    """The columns of a model at rows t, and the evidence of a setting."""

    def __init__(self, t, z, noise, seasons, changing):
        self.t, self.z, self.noise, self.seasons, self.changing = t, z, noise, seasons, changing
        self.span = t[-1] - t[0]
        self.centre, self.spread = z.mean(), z.var() or 1.0
        self.labels = None
        self.columns = self.columns_at(t)
        self.grams, self.tried = {}, {}

    def columns_at(self, t):
        # The slope goes on for one range of the rows beyond them.
        slope = np.clip((t - self.t[0]) / self.span - 0.5, -1.5, 1.5)
        columns, labels = [np.ones_like(t), slope], [None, None]
        for j, season in enumerate(self.seasons):
            for h, wave in season.waves(t):
                columns.append(wave)
                labels.append((j, h, False))
            knots = self.knots(season)
            if knots is None:
                continue
            apart = knots[1] - knots[0]
            inside = np.clip(t, knots[0], knots[-1])
            hats = np.maximum(0, 1 - np.abs(inside[:, None] - knots[None]) / apart)
            alike = np.exp(-np.abs(knots[:, None] - knots[None]) / (MEMORY * season.period))
            hats = hats @ cholesky(alike, lower=True)
            for h, wave in season.waves(t, CHANGING):
                for k in range(len(knots)):
                    columns.append(wave * hats[:, k])
                    labels.append((j, h, True))
        self.labels = labels
        return np.array(columns).T

    def knots(self, season):
        count = min(KNOTS, round(self.span / season.period / CYCLES_A_KNOT) + 1) if self.changing else 0
        return self.t[0] + self.span * np.arange(count) / (count - 1) if count >= 2 else None

    def prior(self, setting):
        """Variances of the columns' factors, in that of the noise; infinite for the intercept."""
        out = [math.inf, setting["slope"]]
        for j, h, change in self.labels[2:]:
            strength, decay, changing = setting["seasons"][j]
            out.append(strength * h ** -decay * (changing if change else 1))
        return np.array(out)

    def gram(self, level):
        """log |K|, Cholesky factor of K and the products of all whitened columns, y last."""
        if level not in self.grams:
            root = cholesky(kernel(level, self.t - self.t[0], self.t - self.t[0]) + np.diag(self.noise), lower=True)
            white = solve_triangular(root, np.column_stack([self.columns, self.z - self.centre]), lower=True)
            self.grams[level] = (2 * np.log(np.diag(root)).sum(), root, white.T @ white)
        return self.grams[level]

    def solve(self, setting):
        logdet, root, gram = self.gram(setting["level"])
        prior, n = self.prior(setting), len(self.t)
        use = np.flatnonzero(prior > 0)
        flat = np.isinf(prior[use])
        scale = np.where(flat, 1.0, np.sqrt(np.where(flat, 1.0, prior[use])))
        inner = gram[np.ix_(use, use)] * scale[:, None] * scale[None] + np.diag(np.where(flat, 0.0, 1.0))
        factor = cholesky(inner, lower=True)
        seen = solve_triangular(factor, gram[use, -1] * scale, lower=True)
        rest = max(gram[-1, -1] - seen @ seen, 0) + 1e-3 * self.spread
        evidence = -0.5 * (logdet + 2 * np.log(np.diag(factor)).sum() + n * math.log(rest) + math.log(self.spread)
                           - math.log(1e-3 * self.spread))
        evidence += math.lgamma(n / 2) - math.lgamma(0.5) - 0.5 * (n - 1) * math.log(math.pi)
        return evidence, use, scale, factor, seen, rest / max(n - 2, 1), root

    def evidence(self, setting):
        key = (setting["level"], setting["slope"], setting["seasons"])
        if key not in self.tried:
            price = CYCLE if setting["level"][0] == "cycle" else 0.0
            self.tried[key] = (self.solve(setting)[0] - price, setting)
        return self.tried[key][0]


def better(design, best, settings):
    """The setting with the highest evidence; `best` is (evidence, setting)."""
    for setting in settings:
        found = design.evidence(setting)
        if found > best[0] + 1e-9:
            best = (found, setting)
    return best


def with_season(setting, j, place, value):
    seasons = [list(s) for s in setting["seasons"]]
    seasons[j][place] = value
    return dict(setting, seasons=tuple(tuple(s) for s in seasons))


def tune_seasons(design, best, changing=False):
    for j in range(len(design.seasons)):
        for place, values in ((0, STRENGTH), (1, DECAY)) + (((2, CHANGE),) if changing else ()) + ((0, STRENGTH),):
            best = better(design, best, [with_season(best[1], j, place, v) for v in values])
    return best


def climb(design, best, rounds=6):
    """Steps of 4 in the ratio, of 2 in the length and of a few percent in the period while they gain."""
    for _ in range(rounds):
        kind, ratio, length, *period = best[1]["level"]
        lengths = [s * period[0] for s in SWINGS] if period else LENGTHS
        near = [(kind, ratio * f, length, *period) for f in (0.25, 4) if RATIOS[0] <= ratio * f <= RATIOS[1]]
        near += [(kind, ratio, length * f, *period) for f in (0.5, 2) if kind != "walk" and lengths[0] <= length * f <= lengths[1]]
        near += [(kind, ratio, length, p * f) for p in period for f in (1 / 1.16, 1 / 1.04, 1.04, 1.16)
                 if PERIODS[0] <= p * f <= PERIODS[1] and SWINGS[0] <= length / (p * f) <= SWINGS[1]]
        found = better(design, best, [dict(best[1], level=level) for level in near if kind != "none"])
        if found[0] == best[0]:
            break
        best = found
    return best


def tune_slope(design, best):
    return better(design, best, [dict(best[1], slope=s) for s in SLOPE])


def kinds(design, setting, rounds, starts):
    """The best of each kind of level, each with its own slope."""
    out = {}
    for level in starts:
        trial = dict(setting, level=tuple(level))
        found = (design.evidence(trial), trial)
        if level[0] not in out or found[0] > out[level[0]][0]:
            out[level[0]] = found
    return {kind: tune_slope(design, climb(design, best, rounds)) for kind, best in out.items()}


def first(found):
    return max(found.values(), key=lambda a: a[0])


def left_out(d, setting):
    """Mean and deviation of each row of a design, foretold from all the others."""
    _, use, scale, factor, seen, variance, root = d.solve(setting)
    inverse = solve_triangular(root, np.eye(len(d.t)), lower=True)
    inverse = inverse.T @ inverse
    lost = solve_triangular(factor, (inverse @ d.columns[:, use] * scale).T, lower=True)
    precision = np.diag(inverse) - (lost * lost).sum(0)
    answer = inverse @ (d.z - d.centre) - lost.T @ solve_triangular(
        factor, scale * (d.columns[:, use].T @ (inverse @ (d.z - d.centre))), lower=True)
    mean = d.z - answer / precision
    # A row that is taken to be far from the others is foretold like any other.
    return mean, np.sqrt(variance * np.maximum(1 / precision - (d.noise - 1), 1e-12))


def base(t, z, noise):
    """The best of the plain levels without a season."""
    design = Design(t, z, noise, [], False)
    settings = [dict(level=level, slope=slope, seasons=()) for level in STARTS[:5] for slope in (0.0, 100.0)]
    setting = max(settings, key=design.evidence)
    return design, setting


def cycle(design):
    """The best of the levels that swing, of a design without seasons; None for too few rows."""
    starts, period = [], 5.0
    while period <= min(design.span / 3, PERIODS[1]):
        starts.append(("cycle", 20.0, period / 2, period))
        period *= 4 / 3
    settings = [dict(level=level, slope=0.0, seasons=()) for level in starts]
    if not settings:
        return None
    setting = max(settings, key=design.evidence)
    return tune_slope(design, climb(design, (design.evidence(setting), setting), 12))


def far_rows(t, z):
    """Variances of the rows' noise: 1, or what makes a row far from its neighbours usual, if few are so far."""
    mean, deviation = left_out(*base(t, z, np.ones(len(t))))
    odd = np.abs(z - mean) / deviation
    return np.where(odd > FAR, odd ** 2, 1.0) if (odd > FAR).sum() <= max(1, len(t) // 50) else np.ones(len(t))


class Hint:
    """`periods` are in the unit of x and replace the search. Raises ValueError where there is nothing to be said."""

    def __init__(self, x, y, clock=None, periods=None):
        x, y = np.asarray(x, float), np.asarray(y, float)
        if len(x) < FEWEST or np.ptp(x) == 0 or y.std() <= 1e-9 * np.abs(y).max():
            raise ValueError("too few rows, or nothing changes")
        order = np.argsort(x, kind="stable")
        self.x, self.y, self.order = x[order], y[order], order
        apart = np.diff(self.x)
        self.step = np.median(apart[apart > 0])
        self.t = (self.x - self.x[0]) / self.step
        noise = far_rows(self.t, self.y)
        if periods is None:
            self.periods, price = find_periods(self.t, self.y, noise, [p / self.step for p in CALENDAR[clock]])
        else:
            self.periods, price = [p / self.step for p in periods], 0.0
        sketch = combs(self.periods, self.t, SKETCH)
        start = dict(level=("walk", 0.4, 0.0), slope=10.0, seasons=((1.0, 1.0, 0.0),) * len(sketch))
        levels, swing = STARTS, cycle(Design(self.t, self.y, noise, [], False))
        if swing:
            levels = STARTS + (swing[1]["level"],)
            design = Design(self.t, self.y, noise, sketch, False)
            best = tune_seasons(design, (design.evidence(start), start))
            best = tune_seasons(design, first(kinds(design, best[1], 0, levels)))
            if swing[0] > best[0] - price:
                # A swing without a clock: it says more than the seasons that it was taken for.
                self.periods, sketch, start = [], [], swing[1]
        self.seasons = combs(self.periods, self.t)
        self.power, top = 1.0, -math.inf
        for power in POWERS:
            if (power == 0 and self.y.min() <= 0) or (power != 1 and self.y.min() < 0):
                continue
            design = Design(self.t, transform(self.y, power), noise, sketch, False)
            best = tune_seasons(design, (design.evidence(start), start))
            found = kinds(design, best[1], 0, levels)
            best = tune_seasons(design, first(found))
            worth = best[0] + log_jacobian(self.y, power) - (MARGIN if power != 1 else 0)
            if power == 1:
                start, levels = best[1], [s["level"] for _, s in found.values()]
            if worth > top:
                top, self.power, plain, setting, near = worth, power, design, best[1], levels
        self.z = plain.z
        levels = [s["level"] for _, s in kinds(plain, setting, 6, near).values()]
        for _ in range(2):
            self.design = Design(self.t, self.z, noise, self.seasons, True)
            found = kinds(self.design, setting, 0, levels)
            best = tune_seasons(self.design, first(found), True)
            self.setting = tune_slope(self.design, climb(self.design, best, 1))[1]
            self.evidence = self.design.solve(self.setting)[0]
            mean, deviation = self.left_out(sorted_rows=True)
            odd = np.abs(self.z - mean) / deviation
            if not (odd > OUTLIER).any() or (odd > OUTLIER).sum() > len(odd) / 10:
                break
            noise = np.where(odd > OUTLIER, odd ** 2, 1.0)
            setting = self.setting

    def at(self, asked):
        """Means and covariance at the asked places, in transformed units."""
        d, level = self.design, self.setting["level"]
        t = (np.asarray(asked, float) - self.x[0]) / self.step
        _, use, scale, factor, seen, variance, root = d.solve(self.setting)
        factors = solve_triangular(factor.T, seen) * scale
        columns, own = d.columns_at(t)[:, use], d.columns[:, use]
        cross = solve_triangular(root, kernel(level, t, self.t).T, lower=True)
        rest = solve_triangular(root, d.z - d.centre - own @ factors, lower=True)
        mean = d.centre + columns @ factors + cross.T @ rest
        lost = (columns - cross.T @ solve_triangular(root, own, lower=True)) * scale
        unsure = solve_triangular(factor, lost.T, lower=True)
        covariance = kernel(level, t, t) - cross.T @ cross + unsure.T @ unsure + np.eye(len(t))
        return mean, variance * covariance

    def left_out(self, sorted_rows=False):
        """Mean and deviation of each row, foretold from all the others."""
        mean, deviation = left_out(self.design, self.setting)
        if sorted_rows:
            return mean, deviation
        back = np.argsort(self.order)
        return mean[back], deviation[back]

    def features(self):
        """Of the series: what is trusted, and how far. Shares are of the variance of the transformed rows."""
        d, setting = self.design, self.setting
        _, use, scale, factor, seen, variance, root = d.solve(setting)
        factors = np.zeros(d.columns.shape[1])
        factors[use] = solve_triangular(factor.T, seen) * scale
        share = lambda chosen: float((d.columns[:, chosen] @ factors[chosen]).var() / d.spread)
        labels = d.labels
        seasons = []
        for j, season in enumerate(d.seasons):
            fixed = [i for i, l in enumerate(labels) if l and l[0] == j and not l[2]]
            change = [i for i, l in enumerate(labels) if l and l[0] == j and l[2]]
            seasons.append({"period": season.period * self.step, "cycles": d.span / season.period,
                            "fixed": share(fixed), "changing": share(change) if change else 0.0})
        mean, deviation = self.left_out()
        return {"power": self.power, "level": setting["level"][0], "ratio": setting["level"][1],
                "length": setting["level"][2], "cycle": (*setting["level"], 0.0)[3], "slope": share([1]), "seasons": seasons,
                "noise": variance / d.spread, "skill": 1 - float(((d.z - mean[self.order]) ** 2).mean() / d.spread),
                "odd": int((d.noise > 1).sum())}


# ---------------------------------------------------------------------------------------------
# Periods
# ---------------------------------------------------------------------------------------------

def combs(periods, t, most=None):
    """Seasons with their harmonics, none of them told twice: a longer period has not those of a shorter one."""
    out, room = [], max(2, min(COLUMNS, len(t) // 2)) // 2
    for place, period in enumerate(periods):
        harmonics = []
        for h in range(1, int(period / 2 + 1e-6) + 1):
            frequency = h / period
            if all(abs(frequency * s.period - round(frequency * s.period)) > 1e-3 * frequency * s.period or
                   round(frequency * s.period) not in s.harmonics for s in out):
                harmonics.append(h)
        harmonics = harmonics[:min(most or WAVES, room if place + 1 == len(periods) else (3 * room + 3) // 4)]
        room -= len(harmonics)
        if harmonics:
            out.append(Season(period, harmonics))
    return out


def periodogram(t, e, frequencies):
    """Half the sum of squares that a wave of each frequency explains of e (Lomb 1976; Scargle 1982)."""
    angle = 2 * math.pi * frequencies[:, None] * t[None]
    c, s = np.cos(angle), np.sin(angle)
    cc, cs, yc, ys = (c * c).sum(1), (c * s).sum(1), c @ e, s @ e
    ss = len(t) - cc
    determinant = cc * ss - cs * cs
    good = determinant > 1e-6 * len(t) ** 2
    return np.where(good, (ss * yc ** 2 - 2 * cs * yc * ys + cc * ys ** 2) / np.where(good, determinant, 1), 0) / 2


def excess(t, z, noise):
    """Frequencies, and the periodogram of the whitened rows beside what is usual around each: 1 where all is noise."""
    design, best = base(t, z, noise)
    _, use, scale, factor, seen, _, root = design.solve(best)
    factors = solve_triangular(factor.T, seen) * scale
    e = solve_triangular(root, z - design.centre - design.columns[:, use] @ factors, lower=True)
    innovations = e
    # Hann's window: else the skirts of a strong line are taken for the lines of a long comb.
    e = e * np.sin(math.pi * (t + 0.5) / (t[-1] + 1)) ** 2
    step = 1 / (FINENESS * t[-1])
    # A little beyond half a cycle a row, so that the shortest season has its own top.
    count = min(MOST, int(0.5 / step) + 2)
    frequencies = step * np.arange(1, count + 1)
    power = periodogram(t, e, frequencies)
    # The usual: a mean of logarithms over half an octave or 16 frequencies on each side, by sums that run along.
    sums = np.concatenate([[0.0], np.cumsum(np.log(power + 1e-12 * power.max() + 1e-300))])
    k = np.arange(count)
    reach = np.maximum(16, (k + 1) // 2)
    low, high = np.maximum(0, k - reach), np.minimum(count, k + reach + 1)
    usual = np.exp((sums[high] - sums[low]) / (high - low) + 0.5772)
    return step, power / usual, innovations


def comb_score(step, w, period, window):
    """What a comb of waves gains over noise, harmonic by harmonic, at its best length."""
    harmonics = np.arange(1, max(1, int(period / 2 + 1e-6)) + 1)
    if window:
        harmonics = harmonics[:5]
    place = harmonics / (period * step) - 1
    below = np.clip(place.astype(int), 0, len(w) - 2)
    part = np.clip(place - below, 0, 1)
    height = np.maximum(w[below], w[below + 1]) if window else (1 - part) * w[below] + part * w[below + 1]
    return np.cumsum(10 / 11 * height - math.log(11)).max()


def repeat_score(t, e, lag):
    """What is gained where the innovations of a lag before are repeated: few cycles show it before a periodogram does."""
    place = np.round(t).astype(int)
    grid = np.full(place[-1] + 1, np.nan)
    grid[place] = e
    both = (grid[lag:] - grid[:-lag]) ** 2
    both = both[~np.isnan(both)]
    return -0.5 * len(both) * math.log(max(both.mean() / (2 * e.var() + 1e-300), 1e-6)) if len(both) > 2 else 0.0


def candidates(t, z, noise, calendar):
    """Periods worth a fit, with what each costs in nats: all of the calendar, few whole lags, few tops."""
    span = t[-1]
    step, w, e = excess(t, z, noise)
    fits = lambda period: span / period >= FEWEST_CYCLES and period >= 1.99
    out = [(p, -TOLD) for p in calendar if fits(p) and p >= 2.5]
    choices = math.log(max(1.0, len(w) / FINENESS))
    lags, repeats, tops = [], [], []
    if np.mean(np.abs(t - np.round(t)) < 0.02) > 0.95:
        lags = [(comb_score(step, w, float(p), False), float(p)) for p in range(2, int(span / FEWEST_CYCLES) + 1)]
        repeats = [(repeat_score(t, e, p), float(p)) for p in range(2, int(span / FEWEST_CYCLES) + 1)]
    for k in range(1, len(w) - 1):
        if w[k] >= w[k - 1] and w[k] > w[k + 1] and w[k] > 6:
            bend = w[k - 1] - 2 * w[k] + w[k + 1]
            period = 1 / (step * (k + 1 + 0.5 * (w[k - 1] - w[k + 1]) / bend))
            if fits(period):
                tops.append((comb_score(step, w, period, True), period))
    for scored, most, price in ((lags, 3, LAG), (repeats, 2, LAG), (tops, 2, TOP)):
        near = [p for p, paid in out if paid < 0] if price == LAG else []
        for score, period in sorted(scored, key=lambda a: -a[0]):
            if most and (period, price + choices) not in out and score > 0 and all(abs(1 / period - 1 / p) > 0.5 / span for p in near):
                near.append(period)
                out.append((period, price + choices))
                most -= 1
    return out


def find_periods(t, y, noise, calendar):
    """At most two periods, in rows, and what their choice costs: each is kept if the evidence grows by more than that."""
    if t[-1] < 2 * FEWEST_CYCLES:
        return [], 0.0
    chosen, paid, rest, span = [], 0.0, y, t[-1]
    design, setting = base(t, y, noise)
    best, levels = design.evidence(setting), {setting["level"], STARTS[1]}
    for _ in range(2):
        tried = []
        for period, price in candidates(t, rest, noise, calendar):
            seasons = combs(sorted(chosen + [period]), t, SKETCH)
            if len(seasons) <= len(chosen) or any(beside(period, p, span) for p in chosen):
                continue
            design = Design(t, y, noise, seasons, False)
            settings = [dict(level=level, slope=slope, seasons=((strength, 1.0, 0.0),) * len(seasons))
                        for level in sorted(levels) for slope in (0.0, 100.0) for strength in (1.0, 10.0, 100.0, 1e3)]
            setting = max(settings, key=design.evidence)
            gain = design.evidence(setting) - price - best
            tried.append((gain, period, design, setting, price < 0, price))
        # A multiple of a period says all that the period says; it waits for the second turn.
        tried = [a for a in tried if a[0] > 0 and not any(
            b[0] > (TOLD + 3 if b[4] else 0.8 * a[0]) and a[1] > 1.5 * b[1] and abs(span / b[1] - span / a[1] * round(a[1] / b[1])) < 0.5
            for b in tried)]
        if not tried:
            break
        gain, period, design, setting, _, price = max(tried, key=lambda a: a[0])
        best, paid = best + gain, paid + price
        chosen.append(period)
        _, use, scale, factor, seen, _, _ = design.solve(setting)
        factors = solve_triangular(factor.T, seen) * scale
        rest = y - design.columns[:, use[use > 1]] @ factors[use > 1]
    return sorted(chosen), paid


def beside(period, other, span):
    """Whether a period is a harmonic of another, or a wave that changes that one."""
    return abs(1 / period - max(1, round(other / period)) / other) < 2 / span and period < 1.5 * other
