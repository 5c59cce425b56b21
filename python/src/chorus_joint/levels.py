"""Columns of data frames that are no numbers, as the library takes them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


class Levels:
    """The levels of a data frame's categories, learned from one frame and found again in others.

    Attributes
    ----------
    kinds : list of str
        of each column 'number', 'date' or 'category'; empty where all are numbers, or X is no pandas frame
    """

    def __init__(self, X: Any) -> None:
        self.kinds: list[str] = []
        self.levels: dict[int, dict[Any, float]] = {}
        if not _is_frame(X):
            return
        kinds = [_kind(X.iloc[:, place]) for place in range(X.shape[1])]
        for place, kind in enumerate(kinds):
            if kind == "category":
                present = X.iloc[:, place].dropna().unique()
                self.levels[place] = {level: float(code) for code, level in enumerate(sorted(present, key=str))}
        if any(kind != "number" for kind in kinds):
            self.kinds = kinds

    def numbers(self, X: Any) -> Any:
        """The frame with numbers for levels (one more for a level never seen) and days for dates; anything else as it is."""
        if not self.kinds or not _is_frame(X) or X.shape[1] != len(self.kinds):
            return X
        X = X.copy()
        for place, kind in enumerate(self.kinds):
            column = X.iloc[:, place]
            if kind == "category":
                known = self.levels[place]
                values = [np.nan if gone else known.get(value, float(len(known))) for value, gone in zip(column, column.isna())]
            elif kind == "date":
                days = (column - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
                values = days.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                continue
            X.isetitem(place, np.asarray(values, dtype=np.float64))
        return X


def _is_frame(X: Any) -> bool:
    """Whether it is a pandas data frame; pandas is not needed to find out."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _kind(column: Any) -> str:
    kind = getattr(column.dtype, "kind", "O")
    if kind == "M":
        return "date"
    return "number" if kind in "biuf" else "category"
