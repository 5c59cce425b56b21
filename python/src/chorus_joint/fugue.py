"""Many series through Fugue: one call, on pandas, Dask, Ray or Spark, with the numbers of `predict_df`.

>>> from chorus_joint import fugue
>>> fugue.predict(df, 12, engine=client)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fugue.api as engines
import numpy as np
import pandas
import pyarrow
from triad import Schema

from .errors import DataError, UsageError
from .frames import _ask, _Drawing, _Frame, _Names, _series, _Time

# Whether a row is a point of future_df, in the frame that holds both.
_POINT = "chorus_point"


def predict(
    df,
    horizon: int | None = None,
    *,
    engine: Any = None,
    engine_conf: Any = None,
    future_df=None,
    id_column: str | None = None,
    time_column: str | None = None,
    target_column: str | None = None,
    every: str | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    n_paths: int = 100,
    paths: bool = False,
    scale: str = "auto",
    bounds: tuple[float | None, float | None] | None = None,
    plan: str | None = None,
    seed: int = 0,
    model: str = "functions",
    n_jobs: int | None = None,
    as_local: bool = False,
):
    """Predicts every series of a data frame where an engine has its rows.

    A series' numbers depend on its rows, the request and the seed, and on nothing else: no engine, number of workers or
    partitioning changes a byte. Engines keep no order of rows, so those of a series are read by time, and by value where times
    are equal; where `df` is in that order already, the numbers are those of `predict_df`.

    Parameters
    ----------
    df : data frame of pandas, polars, Arrow, Dask, Ray or Spark
        as `predict_df` takes; a column tells the series apart
    horizon, future_df, id_column, time_column, target_column, every, quantiles, n_paths, paths, scale, bounds, plan, seed, model :
        as in `predict_df`. Without `every`, `horizon` takes one pass more over the times, for series too short to tell their own
        spacing. A model named by path has to be there on every machine
    engine : optional
        as Fugue has it: a Dask client, a Spark session, "ray", …; None: the one that `df` belongs to
    engine_conf : optional
        the engine's settings, as Fugue has them
    n_jobs : int, optional
        threads of one worker; None: 1, since engines have a worker a core
    as_local : bool
        bring the answer here, as a pandas data frame

    Returns
    -------
    data frame of the engine
        the columns of `predict_df`; Spark wants names with a point in backticks (``frame["`q0.05`"]``). The rows of a series are together, in the order of time; the order of series is the engine's
    """
    if horizon is not None and future_df is not None:
        raise UsageError("give one of horizon and future_df")
    if every is not None and horizon is None:
        raise UsageError("every goes with horizon")
    names = _names(df, id_column, time_column, target_column)
    kinds = {field.name: field.type for field in engines.get_schema(df).fields}
    drawing = _Drawing(tuple(quantiles), n_paths, paths, scale, bounds, plan, seed, model, n_jobs)
    rows = _marked(df, names, kinds, 0, engine, engine_conf)
    if future_df is not None:
        columns = set(engines.get_column_names(future_df))
        if missing := [name for name in (names.id, names.time) if name not in columns]:
            raise UsageError(f"future_df has no column '{missing[0]}'")
        points = _marked(future_df, names, kinds, 1, engine, engine_conf)
        rows = engines.union(rows, points, distinct=False, engine=engine, engine_conf=engine_conf, as_fugue=True)
    all_times = None
    if horizon is not None and every is None:
        all_times = _all_times(rows, names, kinds, engine, engine_conf)

    def one(part: pandas.DataFrame) -> pandas.DataFrame:
        return _series_of(part, names, drawing, horizon, every, all_times, future_df is not None)

    found = engines.transform(
        rows,
        one,
        schema=_schema(drawing, names, kinds),
        partition={"by": [names.id]},
        engine=engine,
        engine_conf=engine_conf,
    )
    native = engines.get_native_as_df(found)
    return local(native) if as_local else native


def local(frame) -> pandas.DataFrame:
    """An engine's answer as a pandas data frame.

    Fugue's own `as_pandas` asks Spark for a column by its name without quotes, where the point of "q0.05" is read as a path.
    """
    return frame.toPandas() if hasattr(frame, "toPandas") else engines.as_pandas(frame)


def _names(df, id_column: str | None, time_column: str | None, target_column: str | None) -> _Names:
    class Columns:
        columns = engines.get_column_names(df)

    names = _Names.of(Columns, id_column, time_column, target_column)  # type: ignore[arg-type]
    if names.id is None:
        raise UsageError(
            "the frame has no column unique_id or item_id, by which series are sent to workers; name the one that tells them apart"
            " by id_column, or call predict_df for a single series"
        )
    return names


def _schema(drawing: _Drawing, names: _Names, kinds: dict[str, pyarrow.DataType]) -> Schema:
    own = [(names.id, kinds[names.id])]
    if drawing.paths:
        own += [("path", pyarrow.int64()), (names.time, kinds[names.time]), (names.target, pyarrow.float64())]
    else:
        own += [(names.time, kinds[names.time]), ("mean", pyarrow.float64())]
        own += [(f"q{level}", pyarrow.float64()) for level in drawing.quantiles]
        own += [("outside", pyarrow.string()), ("note", pyarrow.string())]
    return Schema(own)


def _marked(df, names: _Names, kinds: dict[str, pyarrow.DataType], mark: int, engine, engine_conf):
    """The columns that are needed, with what tells rows from points."""

    def mark_all(part: pandas.DataFrame) -> pandas.DataFrame:
        known = names.target in part.columns and not mark
        values = part[names.target] if known else np.full(len(part), np.nan)
        return part[[names.id, names.time]].assign(**{names.target: values, _POINT: mark})

    schema = Schema(
        [
            (names.id, kinds[names.id]),
            (names.time, kinds[names.time]),
            (names.target, pyarrow.float64()),
            (_POINT, pyarrow.int64()),
        ]
    )
    return engines.transform(df, mark_all, schema=schema, engine=engine, engine_conf=engine_conf, as_fugue=True)


def _all_times(rows, names: _Names, kinds: dict[str, pyarrow.DataType], engine, engine_conf) -> np.ndarray:
    """All inputs of rows with a value, each once: spacing is a matter of the set of them."""

    def distinct(part: pandas.DataFrame) -> pandas.DataFrame:
        return part.loc[part[names.target].notna(), [names.time]].dropna().drop_duplicates()

    schema = Schema([(names.time, kinds[names.time])])
    found = engines.transform(rows, distinct, schema=schema, engine=engine, engine_conf=engine_conf, as_fugue=True, as_local=True)
    frame = _Frame(engines.as_pandas(found))
    if not len(frame):
        raise DataError(f"no row has a time and a value of '{names.target}', so nothing can be gone on with")
    return np.unique(_Time.of(frame, names.time).values)


def _series_of(
    part: pandas.DataFrame,
    names: _Names,
    drawing: _Drawing,
    horizon: int | None,
    every: str | None,
    all_times: np.ndarray | None,
    has_future: bool,
) -> pandas.DataFrame:
    """The answer to the rows of one series."""
    # Missing values may come as the engine has them, as pandas.NA.
    part = part.assign(**{names.target: part[names.target].astype("float64")})
    part = part.sort_values([names.time, names.target], kind="stable", ignore_index=True)
    own = _Frame(part[part[_POINT] == 0].drop(columns=_POINT))
    times = _Time.of(own, names.time)
    series = _series(own, names, times)
    if has_future:
        points = part[part[_POINT] == 1]
        if len(points) and not len(own):
            raise DataError(f"series '{points[names.id].iloc[0]}' of future_df has no row in df, so nothing is known of it")
        moments = _Time.of(_Frame(points), names.time).values
        if np.isnan(moments).any():
            raise DataError(f"a row of future_df has no value of '{names.time}'")
        for one in series:
            one.points = moments
    else:
        _ask(series, horizon, None, every, own, names, times, all_times)
    asked, answer = drawing.of(series, names, times)
    if not asked or (drawing.paths and np.all(answer.codes != 0)):
        return pandas.DataFrame({field: [] for field in _columns(drawing, names)})
    return drawing.frame(asked, answer, own, names, times)


def _columns(drawing: _Drawing, names: _Names) -> list[str]:
    if drawing.paths:
        return [names.id or "", "path", names.time, names.target]
    return [names.id or "", names.time, "mean", *(f"q{level}" for level in drawing.quantiles), "outside", "note"]
