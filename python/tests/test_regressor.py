import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from chorus_joint import ChorusRegressor, Model


@pytest.fixture(scope="module")
def fitted(wave):
    x, y = wave
    return ChorusRegressor().fit(x.reshape(-1, 1), y)


def test_answers(fitted):
    X = np.array([[2.5], [3.5], [6.2]])
    mean, std = fitted.predict(X, return_std=True)
    assert mean.shape == std.shape == (3,) and np.array_equal(mean, fitted.predict(X))
    quantiles = fitted.predict_quantiles(X, [0.1, 0.5, 0.9])
    assert quantiles.shape == (3, 3) and np.all(np.diff(quantiles, axis=1) > 0)
    draws = fitted.sample_y(X, 40, random_state=7)
    assert draws.shape == (3, 40)
    assert np.array_equal(draws, fitted.posterior_.sample(X, 40, seed=7).T)
    assert np.array_equal(draws[:, :5], fitted.sample_y(X, 5, random_state=7))
    assert not np.array_equal(draws, fitted.sample_y(X, 40, random_state=8))
    joint = fitted.log_prob(X, mean)
    alone = fitted.log_prob(X, mean, joint=False)
    assert isinstance(joint, float) and alone.shape == (3,)
    assert fitted.score(X, np.sin(2 * X).ravel() + 0.1 * X.ravel()) > 0.9


def test_workings_of_scikit_learn(fitted, wave):
    x, y = wave
    X = x.reshape(-1, 1)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(X), fitted.predict(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert cross_val_score(ChorusRegressor(), X, y, cv=3, n_jobs=2).shape == (3,)
    assert np.array_equal(ChorusRegressor(n_jobs=2).fit(X, y).predict(X), fitted.predict(X))


def test_what_a_model_takes_is_asked():
    most = Model().description["inputs"]["most"]
    X = np.random.default_rng(0).normal(size=(20, (most or 0) + 1))
    if most is not None:
        with pytest.raises(ValueError, match=f"takes 1 to {most} input columns, and X has {most + 1}"):
            ChorusRegressor().fit(X, X[:, 0])
    two = ChorusRegressor().fit(X[:, :2], X[:, 0])
    assert two.predict(X[:, :2]).shape == (20,)


def test_scikit_learns_checks():
    """All checks pass but those whose data have more columns than the model takes, and these fail for that reason alone."""
    other = []
    for result in check_estimator(ChorusRegressor(), on_fail=None, on_skip=None):
        error = result["exception"]
        reasons = f"{error} {error.__cause__ or error.__context__}" if error else ""
        if result["status"] == "failed" and "input columns, and X has" not in reasons:
            other.append((result["check_name"], repr(error)))
    assert other == []
