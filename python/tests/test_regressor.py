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
    X = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ValueError, match="takes 1 to 3 input columns, and X has 4"):
        ChorusRegressor("functions").fit(X, X[:, 0])
    assert ChorusRegressor().fit(X[:, :2], X[:, 0]).predict(X[:, :2]).shape == (20,)
    with pytest.raises(ValueError, match="NaN"):
        ChorusRegressor("functions").fit(np.where(X > 2, np.nan, X)[:, :2], np.where(X > 9, np.nan, X)[:, 0] * np.nan)


def test_tables_with_categories_and_gaps():
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(1)
    kind = draw.choice(["oak", "ash", "elm"], 80)
    frame = pandas.DataFrame({
        "kind": kind, "size": draw.normal(size=80), "when": pandas.Timestamp("2024-01-01") + pandas.to_timedelta(range(80), "D"),
        "noise": draw.normal(size=80),
    })
    y = 3.0 * (kind == "oak") + frame["size"].to_numpy() + 0.2 * draw.normal(size=80)
    frame.loc[::7, "noise"] = np.nan
    frame.loc[5, "kind"] = None
    fitted = ChorusRegressor().fit(frame[:60], y[:60])
    assert fitted.score(frame[60:], y[60:]) > 0.85
    # The order of rows and of columns and the names of levels change nothing.
    order = draw.permutation(60)
    named = frame.replace({"kind": {"oak": "a", "ash": "b", "elm": "c"}})[["noise", "kind", "when", "size"]]
    again = ChorusRegressor().fit(named.iloc[order], y[order])
    assert np.array_equal(again.predict(named[60:]), fitted.predict(frame[60:]))
    unseen = frame[60:62].assign(kind="ebony")
    assert np.isfinite(fitted.sample_y(unseen, 5)).all()


def test_scikit_learns_checks():
    check_estimator(ChorusRegressor(), on_skip=None)
