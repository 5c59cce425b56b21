"""A scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .levels import Levels
from .models import Model


class ChorusRegressor(RegressorMixin, BaseEstimator):
    """Regression by a pretrained transformer that reads the training rows in `fit` and learns nothing.

    `predict` and `predict_quantiles` are of each value on its own; `sample_y` and `log_prob` of values together.

    Parameters
    ----------
    model : str
        the name of a shipped model or the path of one; "auto": "functions" for up to three columns of numbers without gaps, else
        "tables", which takes any number of columns, categories and missing cells
    scale : {"auto", "raw", "log", "root"}
        what values are seen as
    bounds : (least, most), optional
        where values lie; None for a side without a bound
    plan : str
        how paths are drawn, as `chorus predict --plan`
    dates : bool
        whether the one column counts days since 1970-01-01, so that a year and a week are likely periods
    n_jobs : int, optional
        threads, as in scikit-learn; no answer depends on it

    Attributes
    ----------
    n_features_in_ : int
    posterior_ : Posterior
        what the model says after it has read the rows

    Examples
    --------
    >>> import numpy as np
    >>> from chorus_joint import ChorusRegressor
    >>> X = np.linspace(0, 6, 25).reshape(-1, 1)
    >>> model = ChorusRegressor().fit(X, np.sin(X).ravel())
    >>> mean, std = model.predict([[2.5], [3.5]], return_std=True)
    >>> model.sample_y([[2.5], [3.5]], n_samples=100, random_state=0).shape
    (2, 100)
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        scale: str = "auto",
        bounds: tuple[float | None, float | None] | None = None,
        plan: str | None = None,
        dates: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.scale = scale
        self.bounds = bounds
        self.plan = plan
        self.dates = dates
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.model in ("auto", "tables")
        return tags

    def fit(self, X, y, *, errors=None) -> ChorusRegressor:
        """Reads the training rows.

        Parameters
        ----------
        X : array or data frame, shape [rows, columns]
            columns of a pandas data frame that are no numbers are categories, or dates
        y : array, shape [rows]
        errors : array, shape [rows], optional
            the standard deviation of the error that each value of `y` was measured with, for rows along one column; what is
            predicted is what would be measured without
        """
        self._levels = Levels(X)
        name = self.model
        X, y = validate_data(
            self,
            self._levels.numbers(X),
            y,
            y_numeric=True,
            dtype=np.float64,
            ensure_all_finite="allow-nan" if name != "functions" else True,
        )
        if name == "auto":
            is_plain = X.shape[1] <= 3 and not self._levels.kinds and bool(np.isfinite(X).all())
            name = "functions" if is_plain else "tables"
        model = Model(name, n_jobs=self.n_jobs)
        inputs, fewest = model.description["inputs"], model.description["fewest_rows"]
        if len(X) < fewest:
            raise ValueError(f"n_samples={len(X)}: model '{name}' needs at least {fewest} rows")
        most = inputs.get("most")
        if most is not None and X.shape[1] > most:
            raise ValueError(f"model '{name}' takes 1 to {most} input columns, and X has {X.shape[1]}")
        if not inputs["missing"] and not np.isfinite(X).all():
            raise ValueError(f"Input X contains NaN: model '{name}' takes no missing cells; model 'tables' does")
        self._missing = inputs["missing"]
        kinds = ["date"] if self.dates and X.shape[1] == 1 else None
        if self._levels.kinds:
            kinds = self._levels.kinds
        if errors is not None and (name != "functions" or X.shape[1] != 1):
            raise ValueError("errors of y are taken into account for rows along one column of numbers or dates, by model 'functions'")
        self.posterior_ = model.condition(X, y, kinds=kinds, scale=self.scale, bounds=self.bounds, errors=errors)
        return self

    def _points(self, X) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(
            self,
            self._levels.numbers(X),
            dtype=np.float64,
            reset=False,
            ensure_all_finite="allow-nan" if self._missing else True,
        )

    def predict(self, X, return_std: bool = False):
        """Expected values, each on its own.

        Parameters
        ----------
        X : array, shape [points, columns]
        return_std : bool

        Returns
        -------
        array, shape [points]; with `return_std` also standard deviations of the values, shape [points]
        """
        points = self._points(X)
        laws = self.posterior_.marginals(points)
        return (laws.mean, laws.std) if return_std else laws.mean

    def predict_quantiles(self, X, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> np.ndarray:
        """Quantiles of each value on its own.

        Parameters
        ----------
        X : array, shape [points, columns]
        quantiles : sequence of float, between 0 and 1

        Returns
        -------
        array, shape [points, quantiles]
        """
        points = self._points(X)
        return self.posterior_.marginals(points, levels=quantiles).quantiles

    def sample_y(self, X, n_samples: int = 1, random_state=0) -> np.ndarray:
        """Values that go together: each column is one coherent path through the points.

        Parameters
        ----------
        X : array, shape [points, columns]
        n_samples : int
        random_state : int, RandomState or None
            an int is the seed itself: the same bytes as `chorus predict --seed`

        Returns
        -------
        array, shape [points, n_samples]
        """
        points = self._points(X)
        seed = random_state if isinstance(random_state, (int, np.integer)) else None
        if seed is None or seed < 0:
            seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return self.posterior_.sample(points, n_samples, seed=int(seed), plan=self.plan).T

    def log_prob(self, X, y, joint: bool = True):
        """Log-density of values, in nats.

        Parameters
        ----------
        X : array, shape [points, columns]
        y : array, shape [points]
        joint : bool
            of all together; else of each on its own

        Returns
        -------
        float, or with ``joint=False`` an array, shape [points]
        """
        points = self._points(X)
        if joint:
            return self.posterior_.log_density(points, y, plan=self.plan)
        return self.posterior_.marginals(points, y=y).log_density
