"""skpro: a probabilistic regressor."""

from __future__ import annotations

import numpy as np
import pandas as pd
from skpro.distributions import Empirical
from skpro.regression.base import BaseProbaRegressor

from ..models import Model


class ChorusProbaRegressor(BaseProbaRegressor):
    """Regression by a pretrained transformer, whose `predict_proba` is of paths: values that go together.

    Parameters
    ----------
    model : str
    scale, bounds : as in `Model.condition`
    n_paths : int
        paths that the distribution is made of
    seed : int
    n_jobs : int, optional
    """

    _tags = {"capability:missing": False, "capability:multioutput": False, "X_inner_mtype": "pd_DataFrame_Table", "y_inner_mtype": "pd_DataFrame_Table"}

    def __init__(self, model="functions", scale="auto", bounds=None, n_paths=100, seed=0, n_jobs=-1):
        self.model = model
        self.scale = scale
        self.bounds = bounds
        self.n_paths = n_paths
        self.seed = seed
        self.n_jobs = n_jobs
        super().__init__()

    def _fit(self, X, y, C=None):
        model = Model(self.model, n_jobs=self.n_jobs)
        most = model.description["inputs"]["most"]
        if most is not None and X.shape[1] > most:
            raise ValueError(f"model '{self.model}' takes 1 to {most} input columns, and X has {X.shape[1]}")
        self._columns = y.columns
        self._posterior = model.condition(
            X.to_numpy(dtype=np.float64), y.to_numpy(dtype=np.float64).ravel(), scale=self.scale, bounds=self.bounds
        )
        return self

    def _predict(self, X):
        means = self._posterior.marginals(X.to_numpy(dtype=np.float64)).mean
        return pd.DataFrame(means, index=X.index, columns=self._columns)

    def _predict_proba(self, X):
        paths = self._posterior.sample(X.to_numpy(dtype=np.float64), self.n_paths, seed=self.seed)
        index = pd.MultiIndex.from_product([range(self.n_paths), X.index])
        return Empirical(
            pd.DataFrame(paths.ravel(), index=index, columns=self._columns),
            time_indep=False,
            index=X.index,
            columns=self._columns,
        )

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        return [{"n_paths": 20}, {"n_paths": 10, "scale": "raw", "seed": 3}]
