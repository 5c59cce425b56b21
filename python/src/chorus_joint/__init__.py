"""Joint predictions from a pretrained transformer: coherent paths, joint densities, quantiles.

>>> from chorus_joint import Model
>>> posterior = Model("functions").condition([0, 1, 2, 4, 5], [3.1, 2.9, 3.4, 4.0, 4.2])
>>> posterior.sample([3, 6, 7], 100, seed=7).shape
(100, 3)
"""

from .errors import ChorusError, DataError, InternalError, MissingError, FileAccessError, UsageError
from .frames import predict_df
from .models import Answer, Marginals, Model, Posterior
from .native import version

__version__ = version()
__all__ = [
    "Answer",
    "ChorusClassifier",
    "ChorusError",
    "ChorusRegressor",
    "DataError",
    "InternalError",
    "Marginals",
    "MissingError",
    "Model",
    "Posterior",
    "FileAccessError",
    "UsageError",
    "predict_df",
    "version",
]


def __getattr__(name: str):
    # scikit-learn is needed by its estimators alone.
    if name == "ChorusRegressor":
        from .regressor import ChorusRegressor

        return ChorusRegressor
    if name == "ChorusClassifier":
        from .classifier import ChorusClassifier

        return ChorusClassifier
    raise AttributeError(f"module 'chorus_joint' has no attribute {name!r}")
