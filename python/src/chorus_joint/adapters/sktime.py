"""sktime: a forecaster with coherent sample paths."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sktime.forecasting.base import BaseForecaster

from ..errors import UsageError
from ..frames import _days
from ..models import Model


class ChorusForecaster(BaseForecaster):
    """Forecasts of a pretrained transformer that reads the series in `fit` and learns nothing.

    Parameters
    ----------
    model : str
    scale, bounds : as in `Model.condition`
    plan, seed : as in `Posterior.sample`
    n_paths : int
        paths that means and quantiles are of
    n_jobs : int, optional

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from chorus_joint.adapters.sktime import ChorusForecaster
    >>> forecaster = ChorusForecaster(n_paths=20).fit(load_airline(), fh=[1, 2, 3])
    >>> forecaster.predict_quantiles(alpha=[0.1, 0.9]).shape
    (3, 2)
    """

    _tags = {
        "y_inner_mtype": "pd.Series",
        "X_inner_mtype": "pd.DataFrame",
        "capability:exogenous": False,
        "requires-fh-in-fit": False,
        "capability:missing_values": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": True,
        "capability:insample": True,
        "scitype:y": "univariate",
    }

    def __init__(self, model="functions", scale="auto", bounds=None, plan="sequential", seed=0, n_paths=100, n_jobs=-1):
        self.model = model
        self.scale = scale
        self.bounds = bounds
        self.plan = plan
        self.seed = seed
        self.n_paths = n_paths
        self.n_jobs = n_jobs
        super().__init__()

    def _fit(self, y, X=None, fh=None):
        known = y.notna().to_numpy()
        times, dates = _times(y.index)
        self._posterior = Model(self.model, n_jobs=self.n_jobs).condition(
            times[known],
            y.to_numpy(dtype=np.float64)[known],
            kinds=["date" if dates else "number"],
            scale=self.scale,
            bounds=self.bounds,
        )
        return self

    def _answer(self, fh, levels=()):
        index = fh.to_absolute_index(self.cutoff)
        points, _ = _times(index)
        return index, self._posterior.answer(points, self.n_paths, levels=levels, seed=self.seed, plan=self.plan)

    def _predict(self, fh, X=None):
        index, answer = self._answer(fh)
        return pd.Series(answer.mean, index=index, name=self._y.name)

    def _predict_quantiles(self, fh, X=None, alpha=None):
        index, answer = self._answer(fh, alpha)
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return pd.DataFrame(answer.quantiles, index=index, columns=columns)

    def sample_paths(self, fh) -> pd.DataFrame:
        """Coherent paths.

        Parameters
        ----------
        fh : ForecastingHorizon, or what makes one

        Returns
        -------
        DataFrame, shape [horizon, n_paths]
        """
        self.check_is_fitted()
        index, answer = self._answer(self._check_fh(fh))
        return pd.DataFrame(answer.paths.T, index=index)

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        return [{"n_paths": 20}, {"n_paths": 10, "scale": "raw", "seed": 3}]


def _times(index: pd.Index) -> tuple[np.ndarray, bool]:
    """An index as the library counts it, and whether it is of dates."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return _days(index.tz_localize(None).to_numpy()), True
    if index.dtype.kind in "iuf":
        return index.to_numpy(dtype=np.float64), False
    raise UsageError(f"an index of {index.dtype} is none of dates, periods or numbers")
