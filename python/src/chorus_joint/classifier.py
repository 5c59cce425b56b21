"""A scikit-learn classifier."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .errors import MissingError
from .levels import Levels
from .models import Model


class ChorusClassifier(ClassifierMixin, BaseEstimator):
    """Classification of tables by estimators that `fit` makes of the training rows and a network that judges them, as `chorus predict`
    of a category.

    `predict_proba` is of each row; `sample_y` draws the classes of rows together: what one row has tells of the next.

    Parameters
    ----------
    model : str
        "auto" is "classes", the shipped network; "tables" has the estimators alone, each row by itself; or the path of a model
    n_jobs : int, optional
        threads, as in scikit-learn; no answer depends on it

    Attributes
    ----------
    classes_ : array, shape [classes]
    n_features_in_ : int
    posterior_ : Posterior
        what is said after the rows were read

    Examples
    --------
    >>> import numpy as np
    >>> from chorus_joint import ChorusClassifier
    >>> X = np.linspace(0, 6, 40).reshape(-1, 1)
    >>> model = ChorusClassifier().fit(X, np.where(X.ravel() > 3, "high", "low"))
    >>> model.predict([[0.5], [5.5]])
    array(['low', 'high'], dtype='<U4')
    >>> model.predict_proba([[2.9], [5.5]]).shape
    (2, 2)
    """

    def __init__(self, model: str = "auto", *, n_jobs: int | None = None) -> None:
        self.model = model
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X, y) -> ChorusClassifier:
        """Reads the training rows.

        Parameters
        ----------
        X : array or data frame, shape [rows, columns]
            columns of a pandas data frame that are no numbers are categories, or dates; cells may be missing
        y : array, shape [rows]
            classes
        """
        self._levels = Levels(X)
        X, y = validate_data(self, self._levels.numbers(X), y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(X) < 2:
            raise ValueError(f"n_samples={len(X)}: at least 2 rows are needed")
        self.posterior_ = self._model().condition(
            X, places, kinds=self._levels.kinds or None, levels=len(self.classes_)
        )
        return self

    def _model(self) -> Model:
        if self.model != "auto":
            return Model(self.model, n_jobs=self.n_jobs)
        try:
            return Model("classes", n_jobs=self.n_jobs)
        except MissingError:
            warnings.warn(
                "the model 'classes' is not at hand, so classes are said by estimators alone, each row by itself; model='tables' asks for that",
                stacklevel=3,
            )
            return Model("tables", n_jobs=self.n_jobs)

    def _points(self, X) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(
            self, self._levels.numbers(X), dtype=np.float64, reset=False, ensure_all_finite="allow-nan"
        )

    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class.

        Parameters
        ----------
        X : array or data frame, shape [points, columns]

        Returns
        -------
        array, shape [points, classes]
            columns as `classes_`
        """
        points = self._points(X)
        return self.posterior_.probabilities(points)

    def predict_log_proba(self, X) -> np.ndarray:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X) -> np.ndarray:
        """The likeliest class of each row.

        Parameters
        ----------
        X : array or data frame, shape [points, columns]

        Returns
        -------
        array, shape [points]
        """
        likely = self.predict_proba(X)
        return self.classes_[np.argmax(likely, axis=1)]

    def sample_y(self, X, n_samples: int = 1, random_state=0) -> np.ndarray:
        """Classes drawn for all rows together.

        Parameters
        ----------
        X : array or data frame, shape [points, columns]
        n_samples : int
        random_state : int, RandomState or None
            an int is the seed itself: the same draws as `chorus predict --seed`

        Returns
        -------
        array, shape [points, n_samples]
        """
        points = self._points(X)
        seed = random_state if isinstance(random_state, (int, np.integer)) else None
        if seed is None or seed < 0:
            seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return self.classes_[self.posterior_.sample(points, n_samples, seed=int(seed)).T.astype(np.intp)]

    def log_prob(self, X, y, joint: bool = True):
        """The log-probability of classes, in nats.

        Parameters
        ----------
        X : array or data frame, shape [points, columns]
        y : array, shape [points]
        joint : bool
            of all together, by the chain rule, averaged over orders of the rows; else of each row

        Returns
        -------
        float, or with ``joint=False`` an array, shape [points]
        """
        points = self._points(X)
        y = np.asarray(y).ravel()
        if len(y) != len(points):
            raise ValueError(f"y has {len(y)} values and X {len(points)} rows")
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(f"'{y[unknown][0]}' is none of the classes {self.classes_[:20].tolist()}")
        places = np.searchsorted(self.classes_, y)
        if joint:
            return float(self.posterior_.log_density(points, places))
        return self.predict_log_proba(X)[np.arange(len(y)), places]
