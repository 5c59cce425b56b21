"""Series on the engines of Fugue, each on two workers of this machine: the bytes of `predict_df`, whatever the engine and the parts."""

import os
import sys
from importlib.metadata import version

import numpy as np
import pytest
from conftest import ran_with

pandas = pytest.importorskip("pandas")
pytest.importorskip("fugue")

from chorus_joint import DataError, UsageError, fugue, predict_df  # noqa: E402

SERIES = 1000


def dask():
    distributed = pytest.importorskip("dask.distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client = distributed.Client(cluster)
    return client, lambda: (client.close(), cluster.close())


def ray():
    package = pytest.importorskip("ray")
    package.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    return "ray", package.shutdown


def spark():
    sql = pytest.importorskip("pyspark.sql")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "4").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    ran_with(f"Java {session.sparkContext._jvm.System.getProperty('java.version')}")
    return session, session.stop


@pytest.fixture(scope="module", params=["native", "dask", "ray", "spark"])
def engine(request):
    if request.param == "native":
        yield "native"
        return
    value, stop = {"dask": dask, "ray": ray, "spark": spark}[request.param]()
    package = {"spark": "pyspark"}.get(request.param, request.param)
    ran_with(f"fugue {version('fugue')}, {package} {version(package)}")
    yield value
    stop()


@pytest.fixture(scope="module")
def frame():
    """Monthly series in the order of their names and times; some of one or two rows, whose spacing is that of the others."""
    stream = np.random.default_rng(3)
    parts = []
    for index in range(SERIES):
        rows = index % 3 if index % 50 < 3 and index % 3 else int(stream.integers(12, 30))
        month = np.arange(rows)
        values = index + np.sin(month * np.pi / 6) + stream.normal(scale=0.1, size=rows)
        dates = pandas.date_range("2022-01-01", periods=rows, freq="MS")
        parts.append(pandas.DataFrame({"unique_id": f"{index:04d}", "ds": dates, "y": values}))
    return pandas.concat(parts, ignore_index=True)


def content(found) -> pandas.DataFrame:
    """An answer in one order and with one kind of columns, whichever engine it is of."""
    table = fugue.local(found)
    table = table.assign(ds=pandas.to_datetime(table["ds"]).astype("datetime64[us]")).convert_dtypes()
    return table.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)


def assert_same(found, expected) -> None:
    found, expected = content(found), content(expected)
    assert found.columns.tolist() == expected.columns.tolist()
    for name in found.columns:
        if found[name].dtype == "Float64":
            own, other = (table[name].to_numpy(dtype=np.float64, na_value=np.nan) for table in (found, expected))
            assert own.tobytes() == other.tobytes(), name
        else:
            own, other = (table[name].astype(object).where(table[name].notna(), None).tolist() for table in (found, expected))
            assert own == other, name


def test_a_thousand_series(engine, frame):
    expected = predict_df(frame, 3, n_paths=8, seed=5)
    assert expected["unique_id"].nunique() > 0.9 * SERIES and expected["note"].notna().any()
    mixed = frame.sample(frac=1, random_state=1)
    assert_same(fugue.predict(mixed, 3, engine=engine, n_paths=8, seed=5), expected)


def test_paths(engine, frame):
    few = frame[frame["unique_id"] > "0960"]
    found = fugue.predict(few, 2, engine=engine, n_paths=3, paths=True)
    expected = predict_df(few, 2, n_paths=3, paths=True)
    for table in (found, expected):
        assert content(table).columns.tolist() == ["unique_id", "path", "ds", "y"]
    order = ["unique_id", "path", "ds"]
    found, expected = (content(table).sort_values(order, kind="stable") for table in (found, expected))
    assert found["y"].to_numpy(dtype=np.float64).tobytes() == expected["y"].to_numpy(dtype=np.float64).tobytes()
    assert found["unique_id"].tolist() == expected["unique_id"].tolist()


def test_points_of_another_frame(engine, frame):
    few = frame[frame["unique_id"] > "0960"]
    future = few.groupby("unique_id").tail(1)[["unique_id", "ds"]].assign(ds=pandas.Timestamp("2026-01-01"))
    assert_same(
        fugue.predict(few, future_df=future, engine=engine, n_paths=4), predict_df(few, future_df=future, n_paths=4)
    )


def test_missing_values(engine, frame):
    few = frame[frame["unique_id"] > "0990"].copy()
    few.loc[few.index[::7], "y"] = np.nan
    assert_same(fugue.predict(few, engine=engine, n_paths=4), predict_df(few, n_paths=4))


def test_days_and_numbers(engine, frame):
    """Columns of dates without a time of day, and of whole numbers, come back as they were."""
    few = frame[frame["unique_id"] > "0990"]
    days = few.assign(ds=few["ds"].dt.date)
    assert_same(fugue.predict(days, 2, engine=engine, every="1M", n_paths=4), predict_df(few, 2, every="1M", n_paths=4))
    numbered = few.assign(ds=few.groupby("unique_id").cumcount())
    found = fugue.predict(numbered, 2, engine=engine, every="1", n_paths=4, as_local=True)
    assert isinstance(found, pandas.DataFrame)
    found = found.sort_values(["unique_id", "ds"])
    expected = predict_df(numbered, 2, every="1", n_paths=4)
    assert found["ds"].tolist() == expected["ds"].tolist() and found["ds"].dtype.kind == "i"
    assert found["mean"].tolist() == expected["mean"].tolist()


def test_parts(frame):
    """The partitions that rows come in change nothing."""
    dataframe = pytest.importorskip("dask.dataframe")
    few = frame[frame["unique_id"] > "0970"]
    expected = predict_df(few, 2, n_paths=4)
    for parts in (1, 3, 7):
        found = fugue.predict(dataframe.from_pandas(few, npartitions=parts), 2, n_paths=4)
        assert isinstance(found, dataframe.DataFrame)
        assert_same(found.compute(), expected)


def test_what_is_wrong_is_said_before_any_work(frame):
    with pytest.raises(UsageError, match="one of"):
        fugue.predict(frame, 3, future_df=frame)
    with pytest.raises(UsageError, match="id_column"):
        fugue.predict(frame.drop(columns="unique_id"), 3)
    with pytest.raises(UsageError, match="no column ds"):
        fugue.predict(frame.drop(columns="ds"), 3)
    with pytest.raises(UsageError, match="no column 'unique_id'"):
        fugue.predict(frame, future_df=frame[["ds"]])


def test_what_is_wrong_with_a_series_is_said(frame):
    few = frame[frame["unique_id"] > "0990"]
    with pytest.raises(DataError, match="'9'"):
        fugue.predict(few, future_df=few.assign(unique_id="9"), engine="native")
    with pytest.raises(DataError, match="nothing can be gone on with"):
        fugue.predict(few.assign(y=np.nan), 2, engine="native")
