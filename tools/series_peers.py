"""What a statistician would run on a series, told its season: each answers with a `Law` of the rows that are held out."""

import math
import os
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy import stats

from scoring import LEVELS, crps

warnings.filterwarnings("ignore")


class Law:
    """Normal marginals of y, or of its power transform (`power` 0 is the logarithm), and the joint log-density a value."""

    def __init__(self, mean, deviation, power=1, joint=math.nan):
        self.mean, self.deviation, self.power, self.joint = mean, np.maximum(deviation, 1e-12), power, joint

    def crps(self, y):
        return crps(y, invert(self.mean[:, None] + self.deviation[:, None] * stats.norm.ppf(LEVELS)[None], self.power))

    def covers(self, y, share=0.9):
        return np.abs(transform(y, self.power) - self.mean) <= self.deviation * stats.norm.ppf(0.5 + share / 2)


def transform(y, power):
    return y if power == 1 else np.log(y) if power == 0 else (np.maximum(y, 0) ** power - 1) / power


def invert(z, power):
    return z if power == 1 else np.exp(np.minimum(z, 700)) if power == 0 else np.maximum(1 + power * z, 0) ** (1 / power)


def log_jacobian(y, power):
    """log |dz/dy|, summed."""
    return 0.0 if power == 1 else float(((power - 1) * np.log(np.maximum(y, 1e-300))).sum())


def gaussian(mean, covariance, y):
    """A Law with the joint density of y."""
    k = len(y)
    root = np.linalg.cholesky(covariance + 1e-10 * np.trace(covariance) / k * np.eye(k))
    white = np.linalg.solve(root, y - mean)
    joint = (-0.5 * white @ white - np.log(np.diag(root)).sum()) / k - 0.5 * math.log(2 * math.pi)
    return Law(mean, np.sqrt(np.diag(covariance)), 1, joint)


# A task: places of the shown rows and of the asked rows on an even grid, values, rows in a season, further seasons.


def seasonal_naive(at, y, asked, held, season):
    """The nearest shown rows at the same phase; their spread is that of rows foretold alike."""
    known = dict(zip(at.tolist(), y))
    past = asked[0] > at[-1]

    def guess(place, apart):
        values = []
        for way in ([-1] if past else [-1, 1]):
            k = next((k for k in range(apart, 40) if place + way * k * season in known), None)
            if k:
                values.append(known[place + way * k * season])
        return np.mean(values) if values else np.mean(y)

    mean = np.array([guess(p, 1) for p in asked])
    errors = np.array([known[p] - guess(p, 1) for p in at if p - season in known])
    error = math.sqrt((errors ** 2).mean()) if len(errors) > 1 else np.std(y)
    cycles = np.ceil((asked - at[-1]) / season) if past else np.ones(len(asked))
    same = (asked[:, None] - asked[None]) % season == 0
    covariance = error ** 2 * np.minimum(cycles[:, None], cycles[None]) * same * (1 if past else 0.7)
    covariance += np.diag(error ** 2 * cycles - np.diag(covariance))
    return gaussian(mean, covariance + 1e-9 * error ** 2 * np.eye(len(asked)), held)


def filled(at, y):
    grid = np.full(at[-1] - at[0] + 1, np.nan)
    grid[at - at[0]] = y
    return grid


def interpolated(grid):
    known = np.flatnonzero(~np.isnan(grid))
    return np.interp(np.arange(len(grid)), known, grid[known])


def arima(at, y, asked, held, season):
    """statsforecast's AutoARIMA; the joint law by the weights of its innovations."""
    from statsforecast.models import AutoARIMA

    # A season of hundreds of rows takes minutes a fit, and ARIMA gains nothing from it.
    model = AutoARIMA(season_length=season, approximation=True, max_P=1, max_Q=1, max_D=1, max_p=3, max_q=3)
    grid = interpolated(filled(at, y))
    model.fit(grid)
    steps = asked - at[-1]
    answer = model.predict(h=int(steps[-1]), level=[80])
    mean = np.asarray(answer["mean"])[steps - 1]
    deviation = ((np.asarray(answer["hi-80"]) - np.asarray(answer["lo-80"])) / 2 / stats.norm.ppf(0.9))[steps - 1]
    p, q, P, Q, s, d, D = model.model_["arma"]
    coefficients = model.model_["coef"]
    take = lambda head, n: np.array([coefficients[f"{head}{i + 1}"] for i in range(n)])
    spread_out = lambda values: np.concatenate([[0.0] * (s - 1) + [v] for v in values]) if len(values) else np.array([])
    ar = np.convolve(np.r_[1, -take("ar", p)], np.r_[1, -spread_out(take("sar", P))])
    ma = np.convolve(np.r_[1, take("ma", q)], np.r_[1, spread_out(take("sma", Q))])
    for _ in range(d):
        ar = np.convolve(ar, [1, -1])
    for _ in range(D):
        ar = np.convolve(ar, np.r_[1, [0.0] * (s - 1), -1])
    h = int(steps[-1])
    weights = np.zeros(h)
    for i in range(h):
        weights[i] = (ma[i] if i < len(ma) else 0) - sum(ar[j] * weights[i - j] for j in range(1, min(i, len(ar) - 1) + 1))
    turn = np.array([[weights[i - j] if i >= j else 0 for j in range(h)] for i in range(h)])
    covariance = float(model.model_["sigma2"]) * turn @ turn.T
    law = gaussian(mean, covariance[np.ix_(steps - 1, steps - 1)], held)
    law.deviation = np.maximum(deviation, 1e-12)
    return law


def ets(at, y, asked, held, season):
    """statsforecast's AutoETS, seasons of more than 24 rows left out by it; marginals only."""
    from statsforecast.models import AutoETS

    model = AutoETS(season_length=season if season <= 24 else 1)
    grid = interpolated(filled(at, y))
    if season > 24:  # as R's forecast advises: exponential smoothing of what the season's means leave
        phase = np.arange(len(grid)) % season
        trend = np.convolve(np.pad(grid, season // 2, mode="edge"), np.ones(season) / season, "valid")[:len(grid)]
        shape = np.array([np.mean((grid - trend)[phase == i]) if (phase == i).any() else 0 for i in range(season)])
        grid = grid - shape[phase]
    model.fit(grid)
    steps = asked - at[-1]
    answer = model.predict(h=int(steps[-1]), level=[80])
    mean = np.asarray(answer["mean"])[steps - 1]
    deviation = ((np.asarray(answer["hi-80"]) - np.asarray(answer["lo-80"])) / 2 / stats.norm.ppf(0.9))[steps - 1]
    if season > 24:
        mean = mean + shape[(asked - at[0]) % season]
    return Law(mean, deviation)


def structural_specs(season, rows):
    """Levels, with harmonics of the seasons that are told."""
    levels = ["llevel", "rwdrift", "lltrend"]
    if season == 1:
        out = [dict(level=level) for level in levels]
        out += [dict(level="llevel", autoregressive=1), dict(level="fixed intercept", autoregressive=2)]
        if rows >= 60:
            out += [dict(level=level, cycle=True, stochastic_cycle=True, damped_cycle=True, cycle_period_bounds=(4, rows / 3))
                    for level in ("llevel", "fixed intercept")]
        return out
    half = season // 2
    out = []
    for level in levels:
        for harmonics in sorted({min(2, half), min(half, 6)}):
            for change in (True, False):
                waves = [dict(period=season, harmonics=harmonics)]
                if season == 48 and rows > 700:
                    waves.append(dict(period=336, harmonics=3))
                out.append(dict(level=level, freq_seasonal=waves, stochastic_freq_seasonal=[change] * len(waves)))
    if season >= 48:  # too dear for all
        out = [o for o in out if o["level"] == "llevel"]
        out.append(dict(out[-1], autoregressive=1))
        out.append(dict(out[-1], level="lltrend"))
    return out


def structural(at, y, asked, held, season):
    """statsmodels' UnobservedComponents with the least AIC over levels, harmonics, and raw or log values."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    end = max(at[-1], asked[-1]) + 1
    best = None
    for power in ([1, 0] if y.min() > 0 else [1]):
        z = transform(y, power)
        centre, scale = z.mean(), z.std() or 1
        grid = filled(at, (z - centre) / scale)
        first = None
        for spec in structural_specs(season, len(y)):
            if power == 0 and raw_best is not None and spec not in raw_best:
                continue
            try:
                fitted = UnobservedComponents(grid, **spec).fit(disp=False, maxiter=60)
            except (np.linalg.LinAlgError, ValueError, IndexError):
                continue
            aic = fitted.aic + 2 * len(y) * math.log(scale) - 2 * log_jacobian(y, power)
            first = first or []
            first.append((aic, spec))
            if np.isfinite(aic) and (best is None or aic < best[0]):
                best = (aic, spec, fitted.params, power, centre, scale)
        # Logarithms only for the three specifications that are best raw: half the time for hardly another choice.
        raw_best = [spec for _, spec in sorted(first, key=lambda a: a[0])[:3]] if first else None
    _, spec, params, power, centre, scale = best
    whole = np.full(end - at[0], np.nan)
    whole[at - at[0]] = (transform(y, power) - centre) / scale
    model = UnobservedComponents(whole, **spec)
    found = model.smooth(params)
    design = np.atleast_1d(np.squeeze(model.ssm["design"]))
    noise = float(np.squeeze(model.ssm["obs_cov"]))
    shift = float(np.asarray(model.ssm["obs_intercept"]).ravel()[0])
    index = asked - at[0]
    states, spreads = found.smoothed_state[:, index], found.smoothed_state_cov[:, :, index]
    mean = design @ states + shift
    variance = np.einsum("i,ijk,j->k", design, spreads, design) + noise
    full = whole.copy()
    full[index] = (transform(held, power) - centre) / scale if held.min() > 0 or power == 1 else np.nan
    gain = UnobservedComponents(full, **spec).loglike(params) - model.loglike(params)
    joint = (gain - len(held) * math.log(scale) + log_jacobian(held, power)) / len(held)
    return Law(centre + scale * mean, scale * np.sqrt(variance), power, joint)


def gaussian_process(at, y, asked, held, season):
    """scikit-learn's, told the season; the last 256 rows around the asked ones, for its cubic cost."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, ExpSineSquared, Matern, WhiteKernel

    near = np.sort(np.argsort(np.abs(at - asked.mean()), kind="stable")[:256])
    at, y = at[near], y[near]
    centre, scale = y.mean(), y.std() or 1
    width = np.ptp(at) / 3.5
    level = ConstantKernel(1.0, (1e-4, 1e4))
    kernel = level * Matern(0.5, (1e-3, 1e3), nu=1.5) + WhiteKernel(0.1, (1e-8, 1e2))
    if season > 1:
        kernel += level * RBF(2.0, (1e-3, 1e3)) * ExpSineSquared(1.0, season / width, (1e-2, 1e2), "fixed")
    model = GaussianProcessRegressor(kernel).fit(at[:, None] / width, (y - centre) / scale)
    mean, covariance = model.predict(asked[:, None] / width, return_cov=True)
    return gaussian(centre + scale * mean, scale ** 2 * covariance, held)


PEERS = {"naive": seasonal_naive, "arima": arima, "ets": ets, "structural": structural, "gp": gaussian_process}
ENDS_ONLY = {"arima", "ets"}
