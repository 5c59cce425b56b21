import csv
import io
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from chorus_joint import ChorusClassifier, DataError, Model, UsageError


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(4)
    X = draw.normal(size=(240, 3))
    y = np.array(["low", "middle", "high"])[np.digitize(X[:, 0] + 0.3 * draw.normal(size=240), [-0.5, 0.7])]
    return X, y


@pytest.fixture(scope="module")
def fitted(rows):
    X, y = rows
    return ChorusClassifier().fit(X[:80], y[:80])


def test_answers(fitted, rows):
    X, y = rows[0][80:], rows[1][80:]
    likely = fitted.predict_proba(X)
    assert fitted.classes_.tolist() == ["high", "low", "middle"] and likely.shape == (160, 3)
    np.testing.assert_allclose(likely.sum(axis=1), 1)
    assert np.array_equal(fitted.predict(X), fitted.classes_[likely.argmax(axis=1)])
    assert fitted.score(X, y) > 0.7
    np.testing.assert_array_equal(fitted.predict_log_proba(X), np.log(likely))
    alone = fitted.log_prob(X, y, joint=False)
    assert alone.shape == (160,)
    np.testing.assert_array_equal(alone, np.log(likely[np.arange(160), np.searchsorted(fitted.classes_, y)]))
    # One row together with no other is that row; several tell of each other.
    assert fitted.log_prob(X[:1], y[:1]) == pytest.approx(alone[0], abs=1e-5)
    together = fitted.log_prob(X[:16], y[:16])
    assert together != pytest.approx(alone[:16].sum(), abs=1e-6)
    codes = np.searchsorted(fitted.classes_, y)
    assert fitted.posterior_.log_density(X[:16], codes[:16]) == together
    with pytest.raises(ValueError, match="y has 2 values and X 3 rows"):
        fitted.log_prob(X[:3], y[:2])
    with pytest.raises(ValueError, match="'higher' is none of the classes"):
        fitted.log_prob(X[:1], ["higher"])


def test_the_estimators_alone(fitted, rows):
    X, y = rows
    alone = ChorusClassifier(model="tables").fit(X[:80], y[:80])
    assert not np.array_equal(alone.predict_proba(X[80:]), fitted.predict_proba(X[80:]))
    assert alone.log_prob(X[80:], y[80:]) == pytest.approx(alone.log_prob(X[80:], y[80:], joint=False).sum())


def test_without_the_network_it_is_said(rows, monkeypatch):
    X, y = rows
    from chorus_joint import classifier

    def model(name, **options):
        if name == "classes":
            raise classifier.MissingError("no model 'classes'")
        return Model(name, **options)

    monkeypatch.setattr(classifier, "Model", model)
    with pytest.warns(UserWarning, match="'classes' is not at hand"):
        found = ChorusClassifier().fit(X[:80], y[:80])
    assert np.array_equal(found.predict_proba(X), ChorusClassifier(model="tables").fit(X[:80], y[:80]).predict_proba(X))


def test_draws(fitted, rows):
    X = rows[0][80:90]
    draws = fitted.sample_y(X, 2000, random_state=7)
    assert draws.shape == (10, 2000)
    assert np.array_equal(draws[:, :50], fitted.sample_y(X, 50, random_state=7))
    assert not np.array_equal(draws, fitted.sample_y(X, 2000, random_state=8))
    shares = np.stack([(draws == name).mean(axis=1) for name in fitted.classes_], axis=1)
    np.testing.assert_allclose(shares, fitted.predict_proba(X), atol=0.05)


def test_workings_of_scikit_learn(fitted, rows):
    X, y = rows
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert cross_val_score(ChorusClassifier(), X, y, cv=3).min() > 0.6
    assert np.array_equal(ChorusClassifier(n_jobs=2).fit(X[:80], y[:80]).predict_proba(X), fitted.predict_proba(X))


def test_frames_with_categories_and_gaps():
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(5)
    kind = draw.choice(["oak", "ash", "elm"], 90)
    frame = pandas.DataFrame({"kind": kind, "size": draw.normal(size=90), "noise": draw.normal(size=90)})
    y = np.where((kind == "oak") | (frame["size"] > 1), 1, 0)
    frame.loc[::7, "noise"] = np.nan
    frame.loc[4, "kind"] = None
    fitted = ChorusClassifier().fit(frame[:60], y[:60])
    assert fitted.classes_.tolist() == [0, 1] and fitted.score(frame[60:], y[60:]) > 0.85
    assert np.isfinite(fitted.predict_proba(frame[60:62].assign(kind="ebony"))).all()
    # The order of rows and of columns and the names of levels change nothing.
    order = draw.permutation(60)
    named = frame.replace({"kind": {"oak": "a", "ash": "b", "elm": "c"}})[["noise", "kind", "size"]]
    again = ChorusClassifier().fit(named.iloc[order], y[order])
    assert np.array_equal(again.predict_proba(named[60:]), fitted.predict_proba(frame[60:]))


def test_one_class(rows):
    fitted = ChorusClassifier().fit(rows[0][:5], ["only"] * 5)
    assert fitted.predict(rows[0][:2]).tolist() == ["only", "only"] and fitted.predict_proba(rows[0][:2]).tolist() == [[1.0], [1.0]]


def test_many_tables_in_one_call(rows):
    X, y = rows
    codes = np.unique(y, return_inverse=True)[1]
    many = Model("tables").condition([X[:50], X[50:]], [codes[:50], codes[50:]], many=True, levels=3)
    one = Model("tables").condition(X[50:], codes[50:], levels=3)
    found = many.probabilities([X[:4], X[:7]])
    assert [block.shape for block in found] == [(4, 3), (7, 3)]
    assert np.array_equal(found[1], one.probabilities(X[:7]))


def test_what_is_wrong_is_said(rows):
    X, y = rows
    posterior = Model("tables").condition(X, np.arange(240) % 2, levels=2)
    with pytest.raises(UsageError, match="no mean"):
        posterior.marginals(X[:2])
    with pytest.raises(DataError, match="row 1: 1.5 is the number of no level"):
        Model("tables").condition(X[:2], [0, 1.5], levels=2)
    with pytest.raises(UsageError, match="only a model of tables"):
        Model("functions").condition([1, 2, 3], [0, 1, 1], levels=2)
    with pytest.raises(UsageError, match="the target is a number"):
        Model("tables").condition(X, X[:, 0]).probabilities(X[:2])


def test_numbers_of_the_program(program, examples, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(examples / "penguins.csv")
    new = pandas.read_csv(examples / "penguins-new.csv")
    arguments = ["predict", examples / "penguins.csv", "--target", "species", "--at-file", examples / "penguins-new.csv"]
    # The program's probabilities are means over paths.
    answer = list(csv.DictReader(io.StringIO(program(*arguments, "--samples", 1))))
    program(*arguments, "--samples", 40, "--seed", 6, "--output", tmp_path / "paths.csv")
    drawn = list(csv.DictReader((tmp_path / "paths.csv").open()))
    known = frame.dropna(subset=["species"])
    inputs = known.drop(columns="species")
    fitted = ChorusClassifier().fit(inputs, known["species"].to_numpy(dtype=str))
    new = new.reindex(columns=inputs.columns).astype({"sex": object})
    likely = fitted.predict_proba(new)
    assert [[float(row[f"p({name})"]) for name in fitted.classes_] for row in answer] == likely.tolist()
    assert [row["species"] for row in drawn] == fitted.sample_y(new, 40, random_state=6).T.ravel().tolist()


def test_scikit_learns_checks():
    check_estimator(ChorusClassifier(), on_skip=None)
