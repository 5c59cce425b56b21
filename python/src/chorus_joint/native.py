"""The C library: its functions, its structures, and calls that Ctrl-C stops."""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_uint64, c_void_p
from pathlib import Path

import numpy as np

from . import errors



class Rows(ctypes.Structure):
    """`chorus_rows`."""

    _fields_ = [
        ("inputs", c_void_p),
        ("targets", c_void_p),
        ("rows", c_int64),
        ("offsets", c_void_p),
        ("contexts", c_int64),
        ("kinds", c_void_p),
        ("names", POINTER(c_char_p)),
        ("columns", c_int32),
        ("levels", c_int32),
    ]


class Known(ctypes.Structure):
    """`chorus_known`."""

    _fields_ = [("input", c_void_p), ("number", c_char_p), ("least", c_double), ("most", c_double)]


class Points(ctypes.Structure):
    """`chorus_points`."""

    _fields_ = [("inputs", c_void_p), ("rows", c_int64), ("offsets", c_void_p), ("columns", c_int32)]


class Options(ctypes.Structure):
    """`chorus_options`."""

    _fields_ = [
        ("scale", c_char_p),
        ("least", POINTER(c_double)),
        ("most", POINTER(c_double)),
        ("asked", POINTER(Points)),
        ("plan", c_char_p),
        ("seed", c_uint64),
        ("flop_limit", c_double),
        ("latent", c_int32),
        ("orders", c_int32),
        ("token", c_void_p),
        ("codes", c_void_p),
    ]


_signatures = {
    "chorus_version": (c_char_p, []),
    "chorus_last_error": (c_char_p, []),
    "chorus_notes": (c_char_p, [c_int64]),
    "chorus_open": (c_int32, [c_char_p, c_int32, POINTER(c_void_p)]),
    "chorus_describe": (c_char_p, [c_void_p]),
    "chorus_condition": (c_int32, [c_void_p, POINTER(Rows), POINTER(Options), POINTER(c_void_p)]),
    "chorus_condition_series": (c_int32, [c_void_p, POINTER(Rows), c_void_p, POINTER(Options), POINTER(c_void_p)]),
    "chorus_append": (c_int32, [c_void_p, POINTER(Rows), POINTER(Options), POINTER(c_void_p)]),
    "chorus_given": (c_int32, [c_void_p, POINTER(Known), c_int32, POINTER(Options), POINTER(c_void_p)]),
    "chorus_sample": (
        c_int32,
        [c_void_p, POINTER(Points), c_int64, POINTER(Options), c_void_p, c_int32] + [c_void_p] * 4,
    ),
    "chorus_log_density": (c_int32, [c_void_p, POINTER(Points), c_void_p, POINTER(Options), c_void_p]),
    "chorus_marginals": (
        c_int32,
        [c_void_p, POINTER(Points), POINTER(Options), c_void_p, c_int32, c_void_p] + [c_void_p] * 4,
    ),
    "chorus_probabilities": (c_int32, [c_void_p, POINTER(Points), POINTER(Options), c_void_p]),
    "chorus_functionals": (c_int32, [c_void_p, POINTER(Points), c_int64, c_void_p, c_char_p, c_void_p]),
    "chorus_horizon": (c_int32, [c_void_p, c_int64, c_int32, c_void_p, c_int64, c_char_p, c_void_p]),
    "chorus_save": (c_int32, [c_void_p, c_int64, c_char_p]),
    "chorus_load": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "chorus_token_create": (c_void_p, []),
    "chorus_cancel": (None, [c_void_p]),
    "chorus_free": (None, [c_void_p]),
}


def _load() -> ctypes.CDLL:
    own = Path(__file__).parent / "native_files" / "libchorus.so"
    path = os.environ.get("CHORUS_LIBRARY") or str(own)
    if not os.path.exists(path):
        raise ImportError(
            f"{path}: there is no such library; install a wheel of chorus-joint, or name libchorus.so by CHORUS_LIBRARY"
        )
    library = ctypes.CDLL(path)
    for name, (result, arguments) in _signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


library = _load()


def version() -> str:
    """The version of the library, as ``"0.1.0"``."""
    return library.chorus_version().decode()


_first_byte, _place = ctypes.c_char.from_buffer, ctypes.addressof


def address(array: np.ndarray | None) -> int | None:
    """Where an array lies; None for none."""
    if array is None:
        return None
    try:
        # A fifth of the time of NumPy's own way, which is for arrays that are empty or cannot be written to.
        return _place(_first_byte(array))
    except (TypeError, ValueError):
        return array.__array_interface__["data"][0]


def numbers(values, name: str) -> np.ndarray:
    """Values as an array of float64 in row-major order, copied only where they are not one."""
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise errors.DataError(f"{name} cannot be read as numbers: {error}") from None


class Outcome:
    """What a call came to."""

    __slots__ = ("code", "error", "notes")

    def __init__(self, function, arguments, contexts: int) -> None:
        self.code = function(*arguments)
        # The words belong to the thread of the call.
        self.error = library.chorus_last_error().decode() if self.code else ""
        self.notes = [library.chorus_notes(index).decode() for index in range(contexts)] if not self.code else []


# Work (rows and drawn values) below which a call is over before anybody could want to stop it.
_LONG = 3_000


def call(function, *arguments, options: Options | None = None, work: int = 0, contexts: int = 0) -> list[str]:
    """Calls a function of the library and raises what it fails with.

    A long call from the main thread runs on another one, so that Ctrl-C stops it: Python handles signals between its own
    instructions only.

    Parameters
    ----------
    function : a function of `library`
    arguments : its arguments
    options : Options, optional
        the options among them, which get a token to stop the call by
    work : int
        about how many rows are read and values drawn
    contexts : int
        for how many contexts to fetch notes

    Returns
    -------
    list of str, shape [contexts]
        notes
    """
    if not contexts and work < _LONG:
        # What a call of one value spends here is a part of what it takes.
        if code := function(*arguments):
            raise errors.of(code, library.chorus_last_error().decode())
        return []
    if options is None or work < _LONG or threading.current_thread() is not threading.main_thread():
        outcome = Outcome(function, arguments, contexts)
    else:
        outcome = _stoppable(function, arguments, options, contexts)
    if outcome.code:
        raise errors.of(outcome.code, outcome.error)
    return outcome.notes


def _stoppable(function, arguments, options: Options, contexts: int) -> Outcome:
    token = library.chorus_token_create()
    options.token = token
    result: list[Outcome] = []
    done = threading.Event()

    def run() -> None:
        try:
            result.append(Outcome(function, arguments, contexts))
        finally:
            done.set()

    threading.Thread(target=run, name="chorus-call").start()
    try:
        # Again and again: where another package has taken SIGINT with SA_RESTART, as polars does, no wait is interrupted.
        while not done.wait(0.1):
            pass
    except BaseException:
        library.chorus_cancel(token)
        while not done.is_set():
            try:
                done.wait(0.1)
            except KeyboardInterrupt:
                pass  # it is stopping already
        raise
    finally:
        options.token = None
        library.chorus_free(token)
    return result[0]
