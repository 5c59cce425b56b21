"""What engines take for many series beside one process of one thread, and whether their answers have the same bytes.

    python benchmarks/engines.py [--series 1000] [ENGINE…]    of pandas, dask, ray and spark; all by default

Each engine has two workers on this machine. Its start is not in its seconds: they are those of the second of two runs.
"""

import argparse
import os
import sys
import time
from importlib.metadata import version

import numpy as np
import pandas
from fugue.api import as_pandas

from chorus_joint import fugue, predict_df

STEPS, PATHS = 6, 50


def series(count: int) -> pandas.DataFrame:
    """Monthly series of several lengths, sorted."""
    stream = np.random.default_rng(0)
    parts = []
    for index in range(count):
        rows = int(stream.integers(24, 60))
        month = np.arange(rows)
        values = 50 + 0.2 * month + 5 * np.sin(month * np.pi / 6 + index) + stream.normal(size=rows)
        dates = pandas.date_range("2016-01-01", periods=rows, freq="MS")
        parts.append(pandas.DataFrame({"unique_id": f"{index:05d}", "ds": dates, "y": values}))
    return pandas.concat(parts, ignore_index=True)


def dask():
    from dask.distributed import Client, LocalCluster

    client = Client(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))
    return f"dask {version('dask')}", client, client.shutdown


def ray():
    import ray as package

    package.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    return f"ray {version('ray')}", "ray", package.shutdown


def spark():
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    java = session.sparkContext._jvm.System.getProperty("java.version")
    return f"pyspark {version('pyspark')}, Java {java}", session, session.stop


ENGINES = {"pandas": lambda: (f"pandas {version('pandas')}", "native", lambda: None), "dask": dask, "ray": ray, "spark": spark}


def ordered(frame: pandas.DataFrame) -> list[bytes]:
    """The bytes of an answer's numbers, by series and time."""
    frame = frame.sort_values(["unique_id", "ds"], kind="stable")
    return [frame[name].to_numpy(dtype=np.float64).tobytes() for name in ("mean", "q0.05", "q0.5", "q0.95")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("engines", nargs="*", default=list(ENGINES))
    asked = parser.parse_args()
    df = series(asked.series)
    start = time.perf_counter()
    expected = ordered(predict_df(df, STEPS, n_paths=PATHS, n_jobs=1))
    one = time.perf_counter() - start
    print(f"{asked.series} series, {len(df)} rows, {STEPS} steps, {PATHS} paths; fugue {version('fugue')}")
    print(f"predict_df, one process, one thread: {one:.1f} s")
    for name in asked.engines:
        label, engine, stop = ENGINES[name]()
        for _ in range(2):
            start = time.perf_counter()
            found = fugue.predict(df, STEPS, n_paths=PATHS, engine=engine, as_local=True)
            seconds = time.perf_counter() - start
        same = "equal bytes" if ordered(as_pandas(found)) == expected else "OTHER BYTES"
        print(f"{label}: {seconds:.1f} s, {one / seconds:.2f} of its speed, {same}", flush=True)
        stop()


if __name__ == "__main__":
    main()
