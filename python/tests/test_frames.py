import warnings

import numpy as np
import pytest

from chorus_joint import DataError, UsageError, predict_df

pandas = pytest.importorskip("pandas")


@pytest.fixture
def frame():
    months = pandas.date_range("2022-01-01", periods=24, freq="MS")
    parts = [
        pandas.DataFrame({"unique_id": name, "ds": months, "y": level + np.sin(np.arange(24) * np.pi / 6)})
        for name, level in [("b", 10.0), ("a", 20.0)]
    ]
    return pandas.concat(parts, ignore_index=True)


def test_months_go_on(frame):
    found = predict_df(frame, 3, n_paths=10)
    assert found.columns.tolist() == ["unique_id", "ds", "mean", "q0.05", "q0.5", "q0.95", "outside", "note"]
    assert found["unique_id"].tolist() == ["b"] * 3 + ["a"] * 3
    assert found["ds"].dt.strftime("%Y-%m-%d").tolist()[:3] == ["2024-01-01", "2024-02-01", "2024-03-01"]
    assert found["mean"].between(0, 40).all()


def test_names_of_both_kinds(frame):
    other = frame.rename(columns={"unique_id": "item_id", "ds": "timestamp", "y": "target"})
    found = predict_df(other, 3, n_paths=5)
    assert found.columns[:2].tolist() == ["item_id", "timestamp"]
    assert found["mean"].tolist() == predict_df(frame, 3, n_paths=5)["mean"].tolist()


def test_points_of_another_frame(frame):
    future = pandas.DataFrame({"unique_id": ["a", "b", "a"], "ds": pandas.to_datetime(["2024-03-01", "2024-01-01", "2024-01-01"])})
    found = predict_df(frame, future_df=future, n_paths=5)
    assert found["unique_id"].tolist() == ["b", "a", "a"]
    assert found["ds"].dt.month.tolist() == [1, 3, 1]
    with pytest.raises(DataError, match="'c'"):
        predict_df(frame, future_df=future.assign(unique_id="c"))
    with pytest.raises(UsageError, match="one of"):
        predict_df(frame, 3, future_df=future)


def test_missing_values_are_predicted(frame):
    frame.loc[[5, 30], "y"] = np.nan
    found = predict_df(frame, n_paths=5)
    assert found["ds"].dt.strftime("%Y-%m").tolist() == ["2022-06", "2022-07"]
    with pytest.raises(DataError, match="nothing to predict"):
        predict_df(frame.dropna(), n_paths=5)


def test_paths_are_tidy(frame):
    found = predict_df(frame, 2, n_paths=4, paths=True)
    assert found.columns.tolist() == ["unique_id", "path", "ds", "y"]
    assert len(found) == 2 * 2 * 4 and found["path"].tolist()[:4] == [0, 0, 1, 1]


def test_one_series_of_numbers():
    single = pandas.DataFrame({"ds": np.arange(10), "y": np.arange(10) ** 2.0})
    found = predict_df(single, 2, n_paths=5)
    assert found["ds"].tolist() == [10, 11] and found["ds"].dtype.kind == "i"


def test_time_zones(frame):
    zoned = frame.assign(ds=frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    found = predict_df(zoned, 2, every="30D", n_paths=5)
    assert str(found["ds"].dt.tz) == "Europe/Berlin"


def test_what_is_wrong_is_said(frame):
    with pytest.raises(UsageError, match="no column ds or timestamp"):
        predict_df(frame.rename(columns={"ds": "when"}), 2)
    with pytest.raises(UsageError, match="no column 'when'"):
        predict_df(frame, 2, time_column="when")
    with pytest.raises(DataError, match="to_datetime"):
        predict_df(frame.assign(ds="soon"), 2)
    with pytest.raises(DataError, match="does not hold numbers"):
        predict_df(frame.assign(y="many"), 2)
    with pytest.raises(UsageError, match="no data frame"):
        predict_df([1, 2, 3], 2)
    with pytest.raises(DataError, match="no series can be predicted"):
        predict_df(frame.head(1), future_df=frame.tail(1).assign(unique_id="b"))
    late = frame.copy()
    late.loc[0, "ds"] = pandas.NaT
    with pytest.warns(UserWarning, match="1 rows lack a time"):
        predict_df(late, 1, n_paths=2)


def test_polars(frame):
    polars = pytest.importorskip("polars")
    own = polars.DataFrame({name: frame[name].tolist() for name in frame.columns})
    found = predict_df(own, 3, n_paths=10)
    assert isinstance(found, polars.DataFrame)
    expected = predict_df(frame, 3, n_paths=10)
    assert found["mean"].to_list() == expected["mean"].tolist()
    assert [moment.isoformat() for moment in found["ds"].to_list()] == [moment.isoformat() for moment in expected["ds"]]


def test_other_frames_by_the_interchange(frame):
    class Other:
        def __dataframe__(self, *arguments, **options):
            return frame.__dataframe__(*arguments, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = predict_df(Other(), 2, n_paths=5)
    assert found["mean"].tolist() == predict_df(frame, 2, n_paths=5)["mean"].tolist()
