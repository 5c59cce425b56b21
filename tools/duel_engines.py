#!/usr/bin/env python3
"""What Dask, Ray and Spark make of a thousand series, beside one process: the same bytes, and how long each takes.

    pip install 'chorus-joint[fugue]' 'fugue[dask,ray,spark]'      # Spark needs Java 17
    tools/duel_engines.py                                          # all engines that are installed
    tools/duel_engines.py --engines dask,ray --series 200 --rounds 1

Every engine gets two workers of one thread on this machine; one process gets two threads. All ways take turns, after a round that
is not counted (workers start, libraries and weights are read). Printed are the seconds of each round and the ratio to one process.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time

import numpy as np
import pandas


def series(count, rows):
    """Monthly series with a season and noise."""
    stream = np.random.default_rng(3)
    month = np.arange(rows)
    dates = pandas.date_range("2020-01-01", periods=rows, freq="MS")
    level, season = stream.normal(size=count) * 10, stream.gamma(2.0, size=count)
    parts = [
        pandas.DataFrame({"unique_id": f"{i:05d}", "ds": dates,
                          "y": level[i] + season[i] * np.sin(month * np.pi / 6) + stream.normal(scale=0.3, size=rows)})
        for i in range(count)
    ]
    return pandas.concat(parts, ignore_index=True)


def dask():
    from dask import distributed
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client = distributed.Client(cluster)
    return client, lambda: (client.close(), cluster.close())


def ray():
    import ray as package
    package.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    return "ray", package.shutdown


def spark():
    from pyspark.sql import SparkSession
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "4").config("spark.sql.session.timeZone", "UTC").getOrCreate())
    return session, session.stop


ENGINES = {"dask": ("dask", dask), "ray": ("ray", ray), "spark": ("pyspark", spark)}


def content(found):
    """A frame in one order, whatever the engine that it is of."""
    from chorus_joint.fugue import local
    table = local(found)
    table = table.assign(ds=pandas.to_datetime(table["ds"]).astype("datetime64[us]"))
    return table.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default=",".join(ENGINES), help="which, with commas")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--horizon", type=int, default=10)
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asked = options.engines.split(",")
    if unknown := [name for name in asked if name not in ENGINES]:
        parser.error(f"--engines: {unknown[0]} is none of {', '.join(ENGINES)}")

    from chorus_joint import fugue, predict_df
    frame = series(options.series, options.rows)
    ways = {"one process": lambda: predict_df(frame, options.horizon, n_paths=options.paths, n_jobs=2)}
    ends = []
    for name in asked:
        package, start = ENGINES[name]
        if importlib.util.find_spec(package) is None:
            print(f"{name} is left out: {package} is not installed", file=sys.stderr)
            continue
        engine, end = start()
        ends.append(end)
        ways[name] = lambda engine=engine: fugue.predict(frame, options.horizon, engine=engine, n_paths=options.paths)

    seconds = {name: [] for name in ways}
    expected = None
    for turn in range(options.rounds + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            found = content(way())
            taken = time.perf_counter() - begin
            if turn > 0:
                seconds[name].append(taken)
            if expected is None:
                expected = found
            numbers = [column for column in expected if pandas.api.types.is_numeric_dtype(expected[column])]
            for column in numbers:
                if found[column].to_numpy(dtype=np.float64).tobytes() != expected[column].to_numpy(dtype=np.float64).tobytes():
                    sys.exit(f"{name}: column {column} has other bytes than one process gives")
            print(f"round {turn}: {name} {taken:.1f} s", file=sys.stderr)
    for end in ends:
        end()

    print("way,seconds,least,most,ratio")
    own = seconds["one process"]
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(taken, own))
        print(f"{name},{statistics.median(taken):.2f},{min(taken):.2f},{max(taken):.2f},{ratio:.2f}")


if __name__ == "__main__":
    main()
