"""Laws that peers say of rows: normal ones, and quantiles. Both give densities, normal scores, values at them, and quantiles."""

import math

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

# Levels that boosting is asked for, and those of the points that a law of quantiles is made of.
ASKED_LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
POINT_LEVELS = (np.arange(100) + 0.5) / 100


class Normal:
    def __init__(self, mean, deviation, covariance=None):
        self.mean, self.deviation, self.covariance = mean, np.maximum(deviation, 1e-6), covariance

    def widened(self, factor, width):
        joint = None if self.covariance is None else factor ** 2 * self.covariance + width ** 2 * np.eye(len(self.mean))
        return Normal(self.mean, np.sqrt((factor * self.deviation) ** 2 + width ** 2), joint)

    def logpdf(self, y):
        return stats.norm.logpdf(y, self.mean, self.deviation)

    def scores(self, y):
        """Normal scores of values."""
        return (y - self.mean) / self.deviation

    def at(self, z):
        """Values at normal scores, [..., row]."""
        return self.mean + self.deviation * z

    def quantiles(self, levels):
        return self.at(ndtri(levels)[:, None]).T


class Points:
    """Normal kernels of one width around a hundred equally likely points a row: so every law of quantiles gets its density."""

    def __init__(self, mean, points, width=0.1):
        self.mean, self.points, self.width = mean, np.sort(points, 1), width

    def widened(self, factor, width):
        middle = self.points[:, 49:51].mean(1, keepdims=True)
        return Points(self.mean, middle + factor * (self.points - middle), width)

    @classmethod
    def of_levels(cls, mean, quantiles):
        """Between levels, and beyond the outer ones, linear in the normal score of the level."""
        known, wanted = ndtri(ASKED_LEVELS), ndtri(POINT_LEVELS)
        quantiles = np.sort(quantiles, 1)
        place = np.clip(np.searchsorted(known, wanted) - 1, 0, len(known) - 2)
        slope = np.diff(quantiles, axis=1) / np.diff(known)
        return cls(mean, quantiles[:, place] + slope[:, place] * (wanted - known[place]))

    def logpdf(self, y):
        z = -0.5 * ((y[:, None] - self.points) / self.width) ** 2
        peak = z.max(1)
        return peak + np.log(np.exp(z - peak[:, None]).mean(1)) - math.log(self.width) - 0.5 * math.log(2 * math.pi)

    def scores(self, y):
        return ndtri(np.clip(ndtr((y[:, None] - self.points) / self.width).mean(1), 1e-5, 1 - 1e-5))

    def inverse(self, row, shares):
        points = self.points[row]
        grid = np.linspace(points[0] - 4 * self.width, points[-1] + 4 * self.width, 400)
        return np.interp(shares, ndtr((grid[:, None] - points) / self.width).mean(1), grid)

    def at(self, z):
        return np.array([self.inverse(i, ndtr(z[:, i])) for i in range(len(self.points))]).T

    def quantiles(self, levels):
        return np.array([self.inverse(i, levels) for i in range(len(self.points))])
