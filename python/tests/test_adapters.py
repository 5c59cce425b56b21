"""Each adapter with the package that it is for; the test names the version it ran with."""

import os
import warnings

import numpy as np
import pytest
from conftest import ran_with

pandas = pytest.importorskip("pandas")


def using(name: str):
    module = pytest.importorskip(name)
    ran_with(f"{name} {module.__version__}")
    return module


@pytest.fixture(scope="module")
def monthly():
    index = pandas.period_range("2018-01", periods=48, freq="M")
    values = 50 + np.arange(48) / 4 + 5 * np.sin(np.arange(48) * np.pi / 6)
    return pandas.Series(values, index=index, name="sales")


def test_gluonts(monthly):
    using("gluonts")
    from gluonts.dataset.common import ListDataset
    from gluonts.evaluation import Evaluator, make_evaluation_predictions

    from chorus_joint import predict_df
    from chorus_joint.adapters.gluonts import ChorusPredictor

    entry = {"target": monthly.to_numpy(), "start": monthly.index[0], "item_id": "sales"}
    other = {**entry, "item_id": "less", "target": monthly.to_numpy()[:30]}
    dataset = ListDataset([entry, other], freq="M")
    predictor = ChorusPredictor(6, seed=4)
    forecasts = list(predictor.predict(dataset, num_samples=30))
    assert [one.item_id for one in forecasts] == ["sales", "less"]
    assert forecasts[0].samples.shape == (30, 6)
    assert forecasts[0].start_date == pandas.Period("2022-01", freq="M")
    # GluonTS keeps values as 32 bits.
    frame = pandas.DataFrame({"ds": monthly.index.to_timestamp(), "y": monthly.to_numpy(dtype=np.float32)})
    paths = predict_df(frame, 6, n_paths=30, seed=4, paths=True)["y"].to_numpy().reshape(30, 6)
    assert np.array_equal(forecasts[0].samples, paths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, series = make_evaluation_predictions(dataset, predictor=predictor, num_samples=30)
        scores, _ = Evaluator(quantiles=[0.1, 0.5, 0.9], num_workers=None)(series, found)
    assert scores["mean_wQuantileLoss"] < 0.1


def test_sktime(monthly):
    using("sktime")
    from sktime.performance_metrics.forecasting.probabilistic import CRPS, PinballLoss
    from sktime.utils.estimator_checks import check_estimator

    from chorus_joint.adapters.sktime import ChorusForecaster

    forecaster = ChorusForecaster(n_paths=50).fit(monthly[:42], fh=[1, 2, 6])
    mean = forecaster.predict()
    assert mean.index.tolist() == monthly.index[[42, 43, 47]].tolist()
    quantiles = forecaster.predict_quantiles(alpha=[0.1, 0.9])
    assert quantiles.shape == (3, 2) and (quantiles.iloc[:, 0] < quantiles.iloc[:, 1]).all()
    assert PinballLoss()(monthly.iloc[[42, 43, 47]], quantiles) < 2
    paths = forecaster.sample_paths([1, 2, 6])
    assert paths.shape == (3, 50)
    np.testing.assert_allclose(paths.quantile([0.1, 0.9], axis=1).T.to_numpy(), quantiles.to_numpy())
    numbered = ChorusForecaster(n_paths=10).fit(pandas.Series([1.0, 2, 3, 4, 5]), fh=[1])
    assert numbered.predict().index.tolist() == [5]
    # All of sktime's checks take minutes; CHORUS_SKTIME_CHECKS=all runs them.
    some = ["test_object_tags", "test_valid_object_tags", "test_constructor", "test_clone", "test_predict_quantiles"]
    every = os.environ.get("CHORUS_SKTIME_CHECKS") == "all"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            ChorusForecaster, raise_exceptions=False, verbose=False, tests_to_run=None if every else some
        )
    assert results and {name: repr(result) for name, result in results.items() if result != "PASSED"} == {}


def test_skpro(wave):
    using("skpro")
    from skpro.metrics import CRPS

    from chorus_joint.adapters.skpro import ChorusProbaRegressor

    x, y = wave
    X, Y = pandas.DataFrame({"x": x}), pandas.DataFrame({"y": y})
    regressor = ChorusProbaRegressor(n_paths=60, seed=2).fit(X, Y)
    new = pandas.DataFrame({"x": [2.5, 3.5]}, index=[7, 9])
    law = regressor.predict_proba(new)
    assert law.shape == (2, 1) and law.mean().index.tolist() == [7, 9]
    assert regressor.predict(new).shape == (2, 1)
    assert regressor.predict_quantiles(new, alpha=[0.1, 0.9]).shape == (2, 2)
    truth = pandas.DataFrame({"y": np.sin(2 * new["x"]) + 0.1 * new["x"]})
    assert CRPS()(truth, law) < 0.2
    with pytest.raises(ValueError, match="input columns"):
        ChorusProbaRegressor().fit(pandas.DataFrame(np.ones((9, 400))), Y[:9])


def test_arviz(wave):
    arviz = using("arviz")
    from chorus_joint import Model, UsageError
    from chorus_joint.adapters.arviz import to_arviz, to_xarray

    at = np.array([6.5, 7.0, 7.5])
    paths = Model().condition(*wave).sample(at, 40)
    data = to_arviz(paths, at, observed={"level": [1.1, 1.2, 1.1]}, name="level", point="time")
    assert dict(data["posterior_predictive"]["level"].sizes) == {"chain": 1, "draw": 40, "time": 3}
    assert np.array_equal(data["posterior_predictive"]["level"].values[0], paths)
    assert data["observed_data"]["level"].shape == (3,)
    summary = arviz.summary(data, group="posterior_predictive", kind="stats")
    assert len(summary) == 3
    array = to_xarray(paths, at, point="time")
    assert float(array.sel(time=7.0).mean()) == pytest.approx(paths[:, 1].mean())
    with pytest.raises(UsageError):
        to_xarray(paths, at[:2])


def test_nixtla(monthly):
    using("utilsforecast")
    from utilsforecast.evaluation import evaluate
    from utilsforecast.losses import coverage, mae

    from chorus_joint.adapters.nixtla import forecast

    frame = pandas.DataFrame({"unique_id": "sales", "ds": monthly.index.to_timestamp(), "y": monthly.to_numpy()})
    found = forecast(frame[:42], 6, level=[80], n_paths=50)
    assert found.columns.tolist() == ["unique_id", "ds", "Chorus", "Chorus-lo-80", "Chorus-hi-80"]
    scores = evaluate(frame[42:].merge(found), metrics=[mae, coverage], level=[80])
    assert scores.set_index("metric").loc["mae", "Chorus"] < 5
    with pytest.raises(ValueError, match="level 100"):
        forecast(frame, 2, level=[100])


