"""Rows and points as the library takes them, kept so that they can be read again."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import errors, native
from .handles import Handle
from .native import Known, Options, Points, Rows, address, library, numbers

if TYPE_CHECKING:
    from .models import Model, Posterior

Floats = NDArray[np.float64]


def _count(paths: int) -> int:
    if (count := int(paths)) < 0:
        raise errors.UsageError(f"the number of paths is {count}")
    return count


class _Points:
    """Points, joined for the library."""

    __slots__ = ("inputs", "many", "offsets", "points", "sizes", "total")

    def __init__(self, at, posterior: Posterior | _Conditioning) -> None:
        self.many, contexts = posterior.many, posterior.contexts
        if not self.many or isinstance(at, np.ndarray):
            array = numbers(at, "at")
            if array.ndim == 1:
                rows, columns = len(array), 1
            else:
                rows, columns = _matrix(array, "at").shape
            self.inputs, self.offsets = array, None
            self.sizes, self.total = [rows] * contexts, rows * contexts
        else:
            blocks = [_matrix(block, "at") for block in at]
            if len(blocks) != contexts:
                raise errors.UsageError(f"points of {len(blocks)} contexts are given, and there are {contexts}")
            self.inputs, columns = _joined(blocks, "at")
            rows, self.sizes = len(self.inputs), [len(block) for block in blocks]
            self.total, self.offsets = sum(self.sizes), _offsets(self.sizes)
        self.points = Points(address(self.inputs), rows, address(self.offsets), columns if rows else 1)

    def split(self, values: np.ndarray):
        if not self.many:
            return values
        ends = np.cumsum(self.sizes)[:-1]
        return np.split(values, ends) if self.sizes else []

    def split_paths(self, values: np.ndarray, count: int):
        if not self.many:
            return values.reshape(count, self.sizes[0])
        blocks, start = [], 0
        for size in self.sizes:
            blocks.append(values[start : start + size * count].reshape(count, size))
            start += size * count
        return blocks

    def join(self, y, name: str) -> Floats:
        blocks = [numbers(block, name).ravel() for block in (y if self.many else [y])]
        if [len(block) for block in blocks] != self.sizes:
            raise errors.UsageError(f"{name} has {[len(block) for block in blocks][:5]} values where the points are {self.sizes[:5]}")
        return np.concatenate(blocks) if blocks else np.empty(0)


def _matrix(values, name: str) -> Floats:
    array = numbers(values, name)
    if array.ndim == 0 or array.ndim > 2:
        raise errors.UsageError(f"{name} has {array.ndim} dimensions; give [rows] or [rows, columns]")
    return array.reshape(len(array), 1) if array.ndim == 1 else array


def _joined(blocks: list[Floats], name: str) -> tuple[Floats, int]:
    columns = {block.shape[1] for block in blocks if len(block)} or {1}
    if len(columns) > 1:
        raise errors.UsageError(f"{name} has {' and '.join(map(str, sorted(columns)))} columns; give the same number everywhere")
    (count,) = columns
    if len(blocks) == 1:
        return blocks[0], count
    return np.concatenate([block.reshape(-1, count) for block in blocks] or [np.empty((0, count))]), count


def _offsets(sizes: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _rows(x, y, many: bool, kinds=None, names=None, levels: int = 0):
    """`chorus_rows`, and what has to be kept while it is used."""
    inputs = [_matrix(block, "x") for block in (x if many else [x])]
    targets = [numbers(block, "y").ravel() for block in (y if many else [y])]
    if len(inputs) != len(targets):
        raise errors.UsageError(f"x has {len(inputs)} contexts and y {len(targets)}")
    for index, (block, values) in enumerate(zip(inputs, targets)):
        if len(block) != len(values):
            place = f"context {index}: " if many else ""
            raise errors.UsageError(f"{place}x has {len(block)} rows and y {len(values)}")
    joined, columns = _joined(inputs, "x")
    values = targets[0] if len(targets) == 1 else np.concatenate(targets or [np.empty(0)])
    rows = Rows(inputs=address(joined), targets=address(values), rows=len(values), columns=columns, levels=levels)
    kept: list[Any] = [joined, values]
    if many:
        offsets = _offsets([len(block) for block in targets])
        rows.offsets, rows.contexts = address(offsets), len(targets)
        kept.append(offsets)
    if kinds is not None:
        words = {"number": 0, "date": 1, "category": 2}
        unknown = [kind for kind in kinds if kind not in words]
        if unknown or len(kinds) != columns:
            raise errors.UsageError(f"kinds are {list(kinds)}; give 'number', 'date' or 'category' for each of {columns} columns")
        codes = np.array([words[kind] for kind in kinds], dtype=np.int32)
        rows.kinds = address(codes)
        kept.append(codes)
    if names is not None:
        if len(names) != columns + 1:
            raise errors.UsageError(f"names has {len(names)} names; give {columns} of inputs and one of the target")
        texts = (ctypes.c_char_p * len(names))(*[str(name).encode() for name in names])
        rows.names = texts
        kept.append(texts)
    return rows, kept


class _Conditioning:
    """Rows to be read, kept so that they can be read again."""

    def __init__(self, x, y, many, kinds, names, levels, scale, bounds, asked, skip, errors=None, series=False) -> None:
        self.many = many
        self.series = series or errors is not None
        self.skips = skip
        # A copy: the caller's arrays may change before they are read again.
        def own(values):
            return np.array(numbers(values, "rows"))

        self.rows = ([own(block) for block in x], [own(block) for block in y]) if many else (own(x), own(y))
        self.contexts = len(self.rows[0]) if many else 1
        self.errors = None if errors is None else self._joined_errors(errors)
        self.arguments = (kinds, names, levels)
        self.levels = levels
        self.scale, self.bounds, self.asked = scale, bounds or (None, None), asked

    def _joined_errors(self, given) -> Floats:
        values = self.rows[1] if self.many else [self.rows[1]]
        blocks = [numbers(block, "errors").ravel() for block in (given if self.many else [given])]
        if [len(block) for block in blocks] != [block.size for block in values]:
            raise errors.UsageError("errors need one number for each value of y")
        return np.concatenate(blocks) if blocks else np.empty(0)

    def make(self, model: Model) -> Handle:
        rows, kept = _rows(*self.rows, self.many, *self.arguments)
        codes = np.zeros(self.contexts, dtype=np.int32)
        options = Options(scale=self.scale.encode(), codes=address(codes) if self.skips else None)
        for field, bound in zip(("least", "most"), self.bounds):
            if bound is not None:
                setattr(options, field, ctypes.pointer(ctypes.c_double(bound)))
        if self.asked is not None:
            points = _Points(self.asked, self)
            kept.append(points)
            options.asked = ctypes.pointer(points.points)
        if self.series:
            return _posterior(library.chorus_condition_series, model.handle, rows, options, address(self.errors))
        return _posterior(library.chorus_condition, model.handle, rows, options)


class _Appending:
    """Rows that join a posterior."""

    def __init__(self, earlier: Posterior, x, y) -> None:
        self.earlier, self.rows = earlier, (x, y)
        self.many, self.contexts, self.skips = earlier.many, earlier.contexts, earlier._source.skips
        self.levels = earlier._source.levels

    def make(self, model: Model) -> Handle:
        rows, kept = _rows(*self.rows, self.many)
        codes = np.zeros(self.contexts, dtype=np.int32)
        options = Options(codes=address(codes) if self.skips else None)
        return _posterior(library.chorus_append, self.earlier.handle, rows, options)


class _Knowing:
    """What is known of paths, beside rows."""

    def __init__(self, earlier: Posterior, subject, least: float, most: float) -> None:
        self.earlier, self.known = earlier, (subject, least, most)
        self.many, self.contexts, self.skips = earlier.many, earlier.contexts, earlier._source.skips
        self.levels = earlier._source.levels

    def make(self, model: Model) -> Handle:
        subject, least, most = self.known
        known = Known(least=least, most=most)
        place = None
        if isinstance(subject, str):
            known.number = subject.encode()
        else:
            place = numbers(subject, "the input").ravel()
            columns = max(context["columns"] for context in self.earlier.description["contexts"])
            if len(place) != columns:
                raise errors.UsageError(f"the input has {len(place)} numbers, and the rows have {columns} columns")
            known.input = address(place)
        codes = np.zeros(self.contexts, dtype=np.int32)
        options = Options(codes=address(codes) if self.skips else None)
        pointer = ctypes.c_void_p()
        native.call(
            library.chorus_given, self.earlier.handle.pointer, ctypes.byref(known), 1, ctypes.byref(options), ctypes.byref(pointer)
        )
        return Handle(pointer.value or 0)


class _Loading:
    """A file with a context."""

    many, contexts, skips, levels = False, 1, False, 0

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self, model: Model) -> Handle:
        pointer = ctypes.c_void_p()
        native.call(library.chorus_load, model.handle.pointer, self.path.encode(), ctypes.byref(pointer))
        return Handle(pointer.value or 0)


def _posterior(function, handle: Handle, rows: Rows, options: Options, *more) -> Handle:
    pointer = ctypes.c_void_p()
    native.call(
        function,
        handle.pointer,
        ctypes.byref(rows),
        *more,
        ctypes.byref(options),
        ctypes.byref(pointer),
        options=options,
        work=10 * rows.rows,
    )
    return Handle(pointer.value or 0)
