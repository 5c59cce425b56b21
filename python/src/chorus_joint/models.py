"""Models, and what they say after they have read rows."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import errors, native
from .handles import Handle, threads
from .native import Options, address, library, numbers
from .reading import Floats, _Appending, _Conditioning, _count, _Knowing, _Loading, _Points

_models: dict[tuple[str, int], Handle] = {}


class Model:
    """A pretrained model.

    Parameters
    ----------
    name : str
        "functions" (real data), "tables", "classes" (categories of a table), "gp", "gp-noisy", "sawtooth", or the path of a
        .safetensors file
    n_jobs : int, optional
        threads to work on, as in scikit-learn; no answer depends on it
    """

    def __init__(self, name: str | os.PathLike[str] = "functions", *, n_jobs: int | None = -1) -> None:
        self.name = os.fspath(name)
        self.n_jobs = n_jobs
        self.handle  # fails where there is no such model

    @property
    def handle(self) -> Handle:
        """The library's; opened anew in a child process."""
        key = (self.name, threads(self.n_jobs))
        handle = _models.get(key)
        if handle is None or not handle.alive:
            pointer = ctypes.c_void_p()
            native.call(library.chorus_open, self.name.encode(), key[1], ctypes.byref(pointer))
            handle = _models[key] = Handle(pointer.value or 0)
        return handle

    @property
    def description(self) -> dict[str, Any]:
        """What the model is and takes: `inputs` (`most`, `kinds`, `missing`), `target`, `trained_context`, `fewest_rows`, …"""
        return self.handle.describe()

    def condition(
        self,
        x: ArrayLike | Sequence[ArrayLike],
        y: ArrayLike | Sequence[ArrayLike],
        *,
        many: bool = False,
        kinds: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        scale: str = "auto",
        bounds: tuple[float | None, float | None] | None = None,
        asked: ArrayLike | Sequence[ArrayLike] | None = None,
        levels: int = 0,
        skip: bool = False,
        errors: ArrayLike | Sequence[ArrayLike] | None = None,
        series: bool = False,
    ) -> Posterior:
        """Reads observed rows once.

        Parameters
        ----------
        x : array, shape [rows] or [rows, columns]; with `many` a sequence of them, one a context
            inputs
        y : array, shape [rows]; with `many` a sequence of them
            values
        many : bool
            read many contexts, each of its own rows, in one call
        kinds : sequence of str, shape [columns], optional
            "number", "date" for days since 1970-01-01, or for a model of tables "category" for numbers of levels
        names : sequence of str, shape [columns + 1], optional
            of the inputs, then of the target; kept in files
        scale : {"auto", "raw", "log", "root"}
            what values are seen as
        bounds : (least, most), optional
            where values lie; None for a side without a bound
        asked : array, shape [points] or [points, columns], optional; with `many` a sequence of them
            points that will be asked for: of too many rows those near to them are read, of a series first
        levels : int
            of a model of tables: how many levels the target has where it is a category, whose numbers from 0 on `y` then holds
        skip : bool
            with `many`, go on where a context cannot be read; its numbers are NaN, and `Answer.notes` says why
        errors : array, shape [rows], optional; with `many` a sequence of them
            the standard deviation of the error that each value was measured with, in its unit, 0 for none; what is predicted is
            what would be measured without. The rows are then read as with `series`
        series : bool
            the first column is time, and further ones are known beside it, at points too, like prices or weather: of kind
            "number", or "category" for numbers of levels

        Returns
        -------
        Posterior
        """
        return Posterior(
            self, _Conditioning(x, y, many, kinds, names, levels, scale, bounds, asked, skip, errors, series)
        )

    def load(self, path: str | os.PathLike[str]) -> Posterior:
        """A context kept by `Posterior.save` or `chorus condition`."""
        return Posterior(self, _Loading(os.fspath(path)))

    def __repr__(self) -> str:
        return f"Model({self.name!r}, n_jobs={self.n_jobs!r})"


@dataclass(frozen=True)
class Answer:
    """Paths drawn together.

    Attributes
    ----------
    paths : array, shape [paths, points]; of many contexts a list of them
        values in the data's units
    mean : array, shape [points]; or a list
        expected values
    quantiles : array, shape [points, levels]; or a list
        of the paths, at the levels asked for
    outside : array of int, shape [points]; or a list
        a sum of 1 (context), 2 (inputs), 4 (targets drawn together), 8 (reads) for what training has not shown
    notes : list of str, shape [contexts]
        what to be careful about, or why a context has no answer
    codes : array of int, shape [contexts]
        0, or the library's code where a context has no answer
    """

    paths: Any
    mean: Any
    quantiles: Any
    outside: Any
    notes: list[str]
    codes: NDArray[np.int32]


@dataclass(frozen=True)
class Marginals:
    """The law of each value on its own.

    Attributes
    ----------
    mean, std : array, shape [points]; of many contexts a list of them
    quantiles : array, shape [points, levels]; or a list
    log_density : array, shape [points], or None where no values were given; or a list
    """

    mean: Any
    std: Any
    quantiles: Any
    log_density: Any


class Posterior:
    """What a model says of the rows it has read: asked as often as wanted, from any thread.

    It can be pickled and used after a fork: the rows are read again where the library's state is not at hand.
    """

    def __init__(self, model: Model, source: _Conditioning | _Loading | _Appending) -> None:
        self.model = model
        self._source = source
        self._handle: Handle | None = None
        self.handle

    @property
    def handle(self) -> Handle:
        """The library's; made anew in a child process."""
        if self._handle is None or not self._handle.alive:
            self._handle = self._source.make(self.model)
        return self._handle

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    @property
    def many(self) -> bool:
        return self._source.many

    @property
    def contexts(self) -> int:
        return self._source.contexts

    @property
    def description(self) -> dict[str, Any]:
        """Of each context its rows, scale of values, periods and notes."""
        return self.handle.describe()

    def sample(self, at, n_paths: int = 100, *, seed: int = 0, plan: str | None = None, latent: bool = False):
        """Coherent paths through points.

        Parameters
        ----------
        at : array, shape [points] or [points, columns]; of many contexts a list of them, or one array for all
        n_paths : int
        seed : int
            the same seed gives the same bytes
        plan : str
            how paths are drawn, as `chorus predict --plan`
        latent : bool
            the noiseless curve in place of values with noise

        Returns
        -------
        array, shape [paths, points]; of many contexts a list of them
        """
        asked, count = _Points(at, self), _count(n_paths)
        work = asked.total * count
        values = np.empty(work) if self.many else np.empty((count, asked.total))
        options = self._options(plan=plan and plan.encode(), seed=seed, latent=latent)
        # Not by way of _draw: of one value every layer is a per cent of the library's own time.
        native.call(
            library.chorus_sample, self.handle.pointer, asked.points, count, options, None, 0, address(values), None, None, None,
            options=options, work=work,
        )
        return asked.split_paths(values, count) if self.many else values

    def answer(
        self,
        at,
        n_paths: int = 100,
        *,
        levels: Sequence[float] = (),
        seed: int = 0,
        plan: str | None = None,
        latent: bool = False,
        paths: bool = True,
        flop_limit: float = 0,
    ) -> Answer:
        """Coherent paths with their means, quantiles and notes; see `sample`.

        Parameters
        ----------
        levels : sequence of float
            of the quantiles
        paths : bool
            False where the paths themselves are not wanted
        flop_limit : float
            refuse plans that need more arithmetic; 0: 2e13
        """
        asked, count = _Points(at, self), _count(n_paths)
        levels = numbers(levels, "levels")
        values = np.empty(asked.total * count) if paths else None
        means, quantiles = np.empty(asked.total), np.empty((asked.total, len(levels)))
        outside = np.empty(asked.total, dtype=np.int32)
        codes = np.zeros(self.contexts, dtype=np.int32)
        options = self._options(codes, plan=plan and plan.encode(), seed=seed, latent=latent, flop_limit=flop_limit)
        notes = self._draw(asked, count, options, levels, values, means, quantiles, outside, contexts=self.contexts)
        return Answer(
            paths=None if values is None else asked.split_paths(values, count),
            mean=asked.split(means),
            quantiles=asked.split(quantiles),
            outside=asked.split(outside),
            notes=notes,
            codes=codes,
        )

    def _options(self, codes: NDArray[np.int32] | None = None, **given: Any) -> Options:
        """Options with room for codes, where contexts that fail are skipped."""
        if not self._source.skips:
            return Options(**given)
        codes = np.zeros(self.contexts, dtype=np.int32) if codes is None else codes
        options = Options(codes=address(codes), **given)
        options.kept = codes
        return options

    def _draw(
        self, asked, count, options, levels=None, values=None, means=None, quantiles=None, outside=None, contexts=0
    ) -> list[str]:
        return native.call(
            library.chorus_sample,
            self.handle.pointer,
            asked.points,
            count,
            options,
            address(levels),
            0 if levels is None else len(levels),
            address(values),
            address(means),
            address(quantiles),
            address(outside),
            options=options,
            work=asked.total * count,
            contexts=contexts,
        )

    def log_density(self, at, y, *, orders: int = 8, seed: int = 0, plan: str | None = None):
        """The joint log-density of values, in nats.

        Parameters
        ----------
        at : as in `sample`
        y : array, shape [points]; of many contexts a list of them
        orders : int
            over how many orders of the values it is averaged

        Returns
        -------
        float; of many contexts an array, shape [contexts]
        """
        asked = _Points(at, self)
        values = asked.join(y, "y")
        densities = np.empty(self.contexts)
        options = self._options(plan=plan and plan.encode(), seed=seed, orders=orders)
        native.call(
            library.chorus_log_density,
            self.handle.pointer,
            asked.points,
            address(values),
            options,
            address(densities),
            options=options,
            work=asked.total * orders,
        )
        return densities if self.many else float(densities[0])

    def marginals(self, at, *, levels: Sequence[float] = (), y=None) -> Marginals:
        """The law of the value at each point on its own.

        Parameters
        ----------
        at : as in `sample`
        levels : sequence of float
        y : array, shape [points], optional; of many contexts a list of them
            values whose log-densities are wanted
        """
        asked = _Points(at, self)
        levels = numbers(levels, "levels")
        means, variances = np.empty(asked.total), np.empty(asked.total)
        quantiles = np.empty((asked.total, len(levels)))
        values = None if y is None else asked.join(y, "y")
        densities = None if y is None else np.empty(asked.total)
        options = self._options()
        native.call(
            library.chorus_marginals,
            self.handle.pointer,
            asked.points,
            options,
            address(levels),
            len(levels),
            address(values),
            address(means),
            address(variances),
            address(quantiles),
            address(densities),
            options=options,
            work=asked.total,
        )
        return Marginals(
            mean=asked.split(means),
            std=asked.split(np.sqrt(variances)),
            quantiles=asked.split(quantiles),
            log_density=None if densities is None else asked.split(densities),
        )

    def probabilities(self, at):
        """How likely each level of a category is at each point.

        Parameters
        ----------
        at : as in `sample`

        Returns
        -------
        array, shape [points, levels]; of many contexts a list of them
        """
        asked = _Points(at, self)
        likely = np.full((asked.total, max(self._source.levels, 1)), np.nan)
        options = self._options()
        native.call(
            library.chorus_probabilities,
            self.handle.pointer,
            asked.points,
            options,
            address(likely),
            options=options,
            work=asked.total,
        )
        return asked.split(likely)

    def given(
        self, subject: str | ArrayLike, *, value: float | None = None, least: float = -np.inf, most: float = np.inf
    ) -> Posterior:
        """A posterior whose paths agree with what is known, as by `chorus predict --given`.

        Parameters
        ----------
        subject : float or array, shape [columns]; or str
            an input whose value is known or bounded; or a number made of all values asked for: "sum", "mean", "max", "min" or
            "difference"
        value : float, optional
            the value, which is read as a row more
        least, most : float
            bounds, themselves included. Paths are drawn until enough agree; where fewer do, the last are NaN. There are then no
            densities and no laws of single values
        """
        if value is not None:
            least = most = value
        return Posterior(self.model, _Knowing(self, subject, float(least), float(most)))

    def functionals(self, at, paths, names: Sequence[str]):
        """Numbers made of whole paths.

        Parameters
        ----------
        at : as in `sample`
        paths : as `sample` has returned them
        names : sequence of str
            of "sum", "mean", "max", "min", "difference", "difference:A..B" (the value at
            input B less that at A), "first-above:V", "first-below:V"

        Returns
        -------
        array, shape [names, paths]; of many contexts an array, shape [contexts, names, paths]
        """
        asked = _Points(at, self)
        blocks = [numbers(block, "paths") for block in (paths if self.many else [paths])]
        count = blocks[0].shape[0] if blocks else 0
        values = np.concatenate([block.ravel() for block in blocks]) if blocks else np.empty(0)
        if values.size != asked.total * count:
            raise errors.UsageError(f"{values.size} values are no {count} paths through {asked.total} points")
        result = np.empty((self.contexts, len(names), count))
        native.call(
            library.chorus_functionals,
            self.handle.pointer,
            asked.points,
            count,
            address(values),
            ",".join(names).encode(),
            address(result),
        )
        return result if self.many else result[0]

    def append(self, x, y) -> Posterior:
        """A posterior that has seen further rows, without reading the old ones again: close to reading all.

        Parameters
        ----------
        x : array, shape [rows] or [rows, columns]; of many contexts a list of them
        y : array, shape [rows]; or a list
        """
        return Posterior(self.model, _Appending(self, x, y))

    def save(self, path: str | os.PathLike[str], context: int = 0) -> None:
        """Keeps a context in a file, which `Model.load` and `chorus predict --context` read. It reveals the data."""
        native.call(library.chorus_save, self.handle.pointer, context, os.fspath(path).encode())


def following(
    values: ArrayLike, steps: int, *, dates: bool = False, after: float | None = None, every: str | None = None
) -> Floats:
    """The next inputs of a series: months of the calendar, business days, the hours of a working day, or plain steps.

    Parameters
    ----------
    values : array, shape [rows]
    steps : int
    dates : bool
        whether they are days since 1970-01-01
    after : float, optional
        the input that they follow, in place of the largest
    every : str, optional
        the step in place of the one found, as "1M", "1B", "30min" or "0.5"

    Returns
    -------
    array, shape [steps]
    """
    array = numbers(values, "values").ravel()
    points = np.empty(int(steps)) if steps > 0 else np.empty(1)
    native.call(
        library.chorus_horizon,
        address(array),
        len(array),
        int(dates),
        None if after is None else ctypes.byref(ctypes.c_double(after)),
        int(steps),
        every.encode() if every is not None else None,
        address(points),
    )
    return points
