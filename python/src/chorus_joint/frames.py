"""Series in data frames: predictions with the numbers of `chorus predict`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DataError, UsageError
from .models import Model, following

_names = {"id": ("unique_id", "item_id"), "time": ("ds", "timestamp"), "target": ("y", "target")}
_outside = ((1, "context"), (2, "inputs"), (4, "targets"), (8, "reads"))


class _Frame:
    """The columns of a data frame, by whichever library it is of."""

    def __init__(self, frame) -> None:
        self.kind = type(frame).__module__.split(".")[0]
        if self.kind not in ("pandas", "polars"):
            if not hasattr(frame, "__dataframe__"):
                raise UsageError(f"{type(frame).__name__} is no data frame: it has no data-frame interchange (__dataframe__)")
            import pandas

            frame, self.kind = pandas.api.interchange.from_dataframe(frame), "pandas"
        self.frame = frame
        self.columns = [str(name) for name in frame.columns]

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, name: str):
        return self.frame[name]

    def array(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy()

    def make(self, columns: dict[str, Any]):
        """A frame of the same library."""
        if self.kind == "polars":
            import polars

            return polars.DataFrame(columns)
        import pandas

        return pandas.DataFrame(columns)


@dataclass
class _Time:
    """A column of times as the library counts them, and back."""

    values: np.ndarray
    is_date: bool
    dtype: Any = None
    zone: Any = None

    @staticmethod
    def of(frame: _Frame, name: str) -> _Time:
        column = frame.column(name)
        zone = getattr(getattr(column, "dtype", None), "tz", None) or getattr(getattr(column, "dtype", None), "time_zone", None)
        if zone is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None) if frame.kind == "pandas" else column.dt.replace_time_zone(None)
        array = column.to_numpy()
        if array.dtype.kind == "M":
            return _Time(_days(array), True, array.dtype, zone)
        if array.dtype == object and len(array) and hasattr(array[0], "isoformat"):
            array = np.array(array, dtype="datetime64[ms]")
            return _Time(_days(array), True, array.dtype, zone)
        if array.dtype.kind in "iuf":
            return _Time(array.astype(np.float64), False, array.dtype)
        raise DataError(f"column '{name}' holds {array.dtype}, and times are dates or numbers; convert it, as by pandas.to_datetime")

    def back(self, values: np.ndarray, frame: _Frame):
        """Times as the column has them."""
        if not self.is_date:
            whole = self.dtype.kind in "iu" and np.all(values == np.round(values))
            return values.astype(self.dtype) if whole else values
        unit = np.datetime_data(self.dtype)[0]
        unit = "ms" if unit in ("D", "h", "m", "s") and frame.kind == "polars" else unit
        moments = np.round(values * 86_400_000).astype(np.int64).astype("datetime64[ms]")
        if unit in ("ms", "us", "ns", "s"):
            moments = moments.astype(f"datetime64[{unit}]")
        if self.zone is None:
            return moments
        if frame.kind == "polars":
            import polars

            return polars.Series(moments).dt.replace_time_zone("UTC").dt.convert_time_zone(str(self.zone))
        import pandas

        return pandas.Series(moments).dt.tz_localize("UTC").dt.tz_convert(self.zone)


def _days(array: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01, by the arithmetic with which the program reads a date and a time; NaN for none."""
    missing = np.isnat(array)
    milliseconds = array.astype("datetime64[ms]").astype(np.int64)
    days, rest = np.divmod(milliseconds, 86_400_000)
    values = days.astype(np.float64) + (rest / 1000.0) / 86400.0
    values[missing] = np.nan
    return values


@dataclass
class _Series:
    label: Any
    times: np.ndarray
    values: np.ndarray
    missing: np.ndarray
    points: np.ndarray | None = None
    # Known errors of the values, and columns known beside time: [rows, columns] of the rows, of those without a value, of the points.
    errors: np.ndarray | None = None
    beside: np.ndarray | None = None
    beside_missing: np.ndarray | None = None
    beside_points: np.ndarray | None = None

    @property
    def inputs(self) -> np.ndarray:
        return self.times if self.beside is None else np.column_stack([self.times, self.beside])

    @property
    def asked(self) -> np.ndarray:
        return self.points if self.beside_points is None else np.column_stack([self.points, self.beside_points])


@dataclass(frozen=True)
class _Beside:
    """Columns known beside time: of numbers, or of texts with few levels, which become numbers."""

    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    levels: tuple[dict[str, float] | None, ...] = ()

    @staticmethod
    def of(frame: _Frame, names: Sequence[str]) -> _Beside:
        kinds, levels = [], []
        for name in names:
            if name not in frame.columns:
                raise UsageError(f"the frame has no column '{name}'; it has {', '.join(frame.columns)}")
            if _is_numeric(frame.array(name)):
                kinds.append("number")
                levels.append(None)
            else:
                found = sorted({str(value) for value in frame.array(name) if value is not None and value == value})
                kinds.append("category")
                levels.append({level: float(place) for place, level in enumerate(found)})
        return _Beside(tuple(names), tuple(kinds), tuple(levels))

    def cells(self, frame: _Frame) -> np.ndarray | None:
        """The columns of a frame, [rows, columns]; NaN where a cell is missing."""
        if not self.names:
            return None
        columns = []
        for name, levels in zip(self.names, self.levels):
            if name not in frame.columns:
                raise UsageError(f"future_df has no column '{name}'")
            array = frame.array(name)
            if levels is None:
                if not _is_numeric(array):
                    raise DataError(f"column '{name}' holds numbers in df and others in future_df")
                columns.append(np.asarray(array, dtype=np.float64))
                continue
            texts = [None if value is None or value != value else str(value) for value in array]
            unknown = [text for text in texts if text is not None and text not in levels]
            if unknown:
                raise DataError(f"'{unknown[0]}' of column '{name}' is in no row of df, so nothing is known of it")
            columns.append(np.array([np.nan if text is None else levels[text] for text in texts]))
        return np.column_stack(columns)


def _is_numeric(array: np.ndarray) -> bool:
    return array.dtype.kind in "iufb"


def predict_df(
    df,
    horizon: int | None = None,
    *,
    future_df=None,
    id_column: str | None = None,
    time_column: str | None = None,
    target_column: str | None = None,
    every: str | None = None,
    covariates: Sequence[str] = (),
    error_column: str | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    n_paths: int = 100,
    paths: bool = False,
    scale: str = "auto",
    bounds: tuple[float | None, float | None] | None = None,
    plan: str | None = None,
    seed: int = 0,
    model: str = "functions",
    n_jobs: int | None = -1,
):
    """Predicts every series of a data frame from its own rows, in one call.

    Parameters
    ----------
    df : data frame of pandas, polars, or with the data-frame interchange
        rows with a time and a target, and where there are several series with an id: unique_id/ds/y or
        item_id/timestamp/target, or columns that are named
    horizon : int, optional
        steps after the last row with a value; the spacing is found
    future_df : data frame, optional
        the points to predict: times, and ids where `df` has them. Without `horizon` and `future_df` the rows of `df` whose
        target is missing are predicted
    id_column, time_column, target_column : str, optional
        names in place of those above
    every : str, optional
        the step of `horizon` in place of the one found: "1M", "1q", "1w", "1D", "1B" (business day), "30min", or "0.5"
    covariates : sequence of str
        columns known beside time, of numbers or of texts with few levels, like prices or holidays; `future_df`, or the rows without a
        target, have them too
    error_column : str, optional
        a column with the standard deviation of the error that each value was measured with; what is predicted is what would be
        measured without
    quantiles : sequence of float
        of the paths
    n_paths : int
    paths : bool
        return the paths themselves
    scale, bounds : as in `Model.condition`
    plan, seed : as in `Posterior.sample`
    model : str
    n_jobs : int, optional
        threads; no answer depends on it

    Returns
    -------
    data frame of the same library
        one row a point: id, time, ``mean``, one ``q…`` a level, ``outside`` (what of the row training has not shown) and ``note``;
        with ``paths=True`` one row a value: id, ``path``, time and target. The numbers are those of ``chorus predict``, bit for
        bit on the same machine.
    """
    frame = _Frame(df)
    names = _Names.of(frame, id_column, time_column, target_column)
    times = _Time.of(frame, names.time)
    beside = _Beside.of(frame, covariates)
    if covariates and horizon is not None:
        raise UsageError("covariates have to be known at the points too: give future_df, or rows without a target, in place of horizon")
    series = _series(frame, names, times, beside, error_column)
    _ask(series, horizon, future_df, every, frame, names, times, beside=beside)
    drawing = _Drawing(quantiles, n_paths, paths, scale, bounds, plan, seed, model, n_jobs)
    asked, answer = drawing.of(series, names, times, beside)
    if not asked:
        raise DataError(f"no row lacks a value of '{names.target}', so there is nothing to predict; give horizon or future_df")
    if np.all(answer.codes != 0):
        label = "" if names.id is None else f"series '{asked[0].label}': "
        raise DataError(f"no series can be predicted; {label}{answer.notes[0]}")
    return drawing.frame(asked, answer, frame, names, times)


@dataclass(frozen=True)
class _Drawing:
    """What is drawn of each series, and how; the arguments of `predict_df`."""

    quantiles: Sequence[float]
    n_paths: int
    paths: bool
    scale: str
    bounds: tuple[float | None, float | None] | None
    plan: str | None
    seed: int
    model: str
    n_jobs: int | None

    def of(self, series: list[_Series], names: _Names, times: _Time, beside: _Beside = _Beside()):
        """The series with points, and their answers; a series' own do not depend on the others."""
        asked = [one for one in series if one.points is not None and len(one.points)]
        if not asked:
            return asked, None
        points = [one.asked for one in asked]
        posterior = Model(self.model, n_jobs=self.n_jobs).condition(
            [one.inputs for one in asked],
            [one.values for one in asked],
            many=True,
            kinds=["date" if times.is_date else "number", *beside.kinds],
            names=[names.time, *beside.names, names.target],
            scale=self.scale,
            bounds=self.bounds,
            asked=points,
            skip=True,
            errors=None if asked[0].errors is None else [one.errors for one in asked],
            series=bool(beside.names),
        )
        return asked, posterior.answer(
            points, self.n_paths, levels=self.quantiles, seed=self.seed, plan=self.plan, paths=self.paths
        )

    def frame(self, asked, answer, frame: _Frame, names: _Names, times: _Time):
        if self.paths:
            return _paths(asked, answer, frame, names, times, self.n_paths)
        return _table(asked, answer, frame, names, times, self.quantiles)


@dataclass
class _Names:
    id: str | None
    time: str
    target: str

    @staticmethod
    def of(frame: _Frame, id_column: str | None, time_column: str | None, target_column: str | None) -> _Names:
        given = {"id": id_column, "time": time_column, "target": target_column}
        found: dict[str, str | None] = {}
        for role, name in given.items():
            if name is not None and name not in frame.columns:
                raise UsageError(f"the frame has no column '{name}'; it has {', '.join(frame.columns)}")
            known = [candidate for candidate in _names[role] if candidate in frame.columns]
            found[role] = name if name is not None else known[0] if known else None
            if found[role] is None and role != "id":
                raise UsageError(
                    f"the frame has no column {' or '.join(_names[role])}; name the one of the {role} by {role}_column"
                )
        return _Names(found["id"], found["time"] or "", found["target"] or "")


def _series(
    frame: _Frame, names: _Names, times: _Time, beside: _Beside = _Beside(), error_column: str | None = None
) -> list[_Series]:
    """The series of a frame, in the order of their first rows."""
    try:
        values = np.asarray(frame.array(names.target), dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"column '{names.target}' does not hold numbers") from None
    errors = None if error_column is None else _errors(frame, error_column, values)
    cells = beside.cells(frame)
    known = ~np.isnan(times.values)
    if not known.all():
        warnings.warn(f"{int((~known).sum())} rows lack a time and were left out", stacklevel=3)
    if cells is not None:
        complete = ~np.isnan(cells).any(axis=1)
        if not (complete | ~known).all():
            warnings.warn(
                f"{int((known & ~complete).sum())} rows lack one of {', '.join(beside.names)} and were left out", stacklevel=3
            )
        known = known & complete
    series = []
    for label, rows in _groups(frame, names.id, known):
        observed = rows[~np.isnan(values[rows])]
        missing = rows[np.isnan(values[rows])]
        one = _Series(label, times.values[observed], values[observed], times.values[missing])
        if errors is not None:
            one.errors = errors[observed]
        if cells is not None:
            one.beside, one.beside_missing = cells[observed], cells[missing]
        series.append(one)
    return series


def _errors(frame: _Frame, name: str, values: np.ndarray) -> np.ndarray:
    if name not in frame.columns:
        raise UsageError(f"the frame has no column '{name}'; it has {', '.join(frame.columns)}")
    try:
        errors = np.asarray(frame.array(name), dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"column '{name}' does not hold numbers") from None
    wrong = ~np.isnan(values) & ~((errors >= 0) & np.isfinite(errors))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"row {row} has the error {errors[row]} in column '{name}'; every row with a value needs one, 0 or more")
    return errors


def _groups(frame: _Frame, name: str | None, known: np.ndarray):
    if name is None:
        return [(None, np.flatnonzero(known))]
    labels = frame.array(name)
    places: dict[Any, list[int]] = {}
    for row in np.flatnonzero(known):
        label = labels[row]
        if label is None or label != label:
            raise DataError(f"row {row} has no value of '{name}'; every row needs one")
        places.setdefault(label, []).append(int(row))
    return [(label, np.array(rows)) for label, rows in places.items()]


def _ask(series, horizon, future_df, every, frame, names, times, all_times=None, beside=_Beside()) -> None:
    """Gives each series its points; `all_times` are those of all series where `series` are not all."""
    if horizon is not None and future_df is not None:
        raise UsageError("give one of horizon and future_df")
    if every is not None and horizon is None:
        raise UsageError("every goes with horizon")
    if future_df is not None:
        future = _Frame(future_df)
        if names.time not in future.columns:
            raise UsageError(f"future_df has no column '{names.time}'")
        moments = _Time.of(future, names.time)
        if moments.is_date != times.is_date:
            raise DataError(f"column '{names.time}' holds dates in one frame and numbers in the other")
        if np.isnan(moments.values).any():
            raise DataError(f"a row of future_df has no value of '{names.time}'")
        own = names.id if names.id in future.columns else None
        groups = dict(_groups(future, own, np.ones(len(future), dtype=bool)))
        cells = beside.cells(future)
        if cells is not None and np.isnan(cells).any():
            raise DataError(f"a row of future_df lacks one of {', '.join(beside.names)}")
        unknown = set(groups) - {one.label for one in series} if own is not None else set()
        if unknown:
            raise DataError(f"series '{sorted(map(str, unknown))[0]}' of future_df has no row in df, so nothing is known of it")
        for one in series:
            rows = groups.get(one.label if own is not None else None)
            one.points = None if rows is None else moments.values[rows]
            if rows is not None and cells is not None:
                one.beside_points = cells[rows]
        return
    if horizon is None:
        for one in series:
            one.points, one.beside_points = one.missing, one.beside_missing
        return
    every_time = np.concatenate([one.times for one in series]) if all_times is None else all_times
    for one in series:
        if not len(one.times):
            continue
        try:
            one.points = following(one.times, horizon, dates=times.is_date, every=every)
        except DataError:
            # Spaced as all rows are, where its own do not tell.
            after = float(one.times.max())
            one.points = following(every_time, horizon, dates=times.is_date, after=after, every=every)


def _ids(asked, names: _Names, counts) -> dict[str, Any]:
    if names.id is None:
        return {}
    return {names.id: np.repeat(np.array([one.label for one in asked]), counts)}


def _table(asked, answer, frame, names, times, quantiles):
    counts = [len(one.points) for one in asked]
    columns = _ids(asked, names, counts)
    columns[names.time] = times.back(np.concatenate([one.points for one in asked]), frame)
    columns["mean"] = np.concatenate(answer.mean)
    levels = np.concatenate(answer.quantiles)
    for index, level in enumerate(quantiles):
        columns[f"q{level}"] = levels[:, index]
    outside = np.concatenate(answer.outside)
    columns["outside"] = [";".join(name for bit, name in _outside if code & bit) or None for code in outside]
    # The row names its series; the number of its context would depend on which others were asked for.
    words = [note.removeprefix(f"context {index}: ") for index, note in enumerate(answer.notes)]
    notes = [("not predicted: " if code else "") + note or None for note, code in zip(words, answer.codes)]
    columns["note"] = [note for note, count in zip(notes, counts) for _ in range(count)]
    return frame.make(columns)


def _paths(asked, answer, frame, names, times, n_paths):
    kept = [index for index, code in enumerate(answer.codes) if code == 0]
    asked = [asked[index] for index in kept]
    sizes = [len(one.points) for one in asked]
    columns = _ids(asked, names, [size * n_paths for size in sizes])
    columns["path"] = np.concatenate([np.repeat(np.arange(n_paths), size) for size in sizes])
    columns[names.time] = times.back(np.concatenate([np.tile(one.points, n_paths) for one in asked]), frame)
    columns[names.target] = np.concatenate([answer.paths[index].ravel() for index in kept])
    return frame.make(columns)
