"""Opaque pointers of the library, and threads."""

from __future__ import annotations

import json
import os
import weakref
from typing import Any

from . import errors
from .native import library


class Handle:
    """An opaque pointer of the library, let go of with this object; of the process that made it alone."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        self.process = os.getpid()
        weakref.finalize(self, Handle._free, pointer, self.process).atexit = False

    @staticmethod
    def _free(pointer: int, process: int) -> None:
        if os.getpid() == process:
            library.chorus_free(pointer)

    @property
    def alive(self) -> bool:
        return self.process == os.getpid()

    def describe(self) -> dict[str, Any]:
        text = library.chorus_describe(self.pointer)
        if text is None:
            raise errors.of(70, library.chorus_last_error().decode())
        return json.loads(text)


def threads(n_jobs: int | None) -> int:
    """Threads of the library for scikit-learn's `n_jobs`: None is 1, -1 all processors, -2 all but one."""
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise errors.UsageError("n_jobs is 0; give 1 or more, or -1 for all processors")
    return n_jobs if n_jobs > 0 else 0 if n_jobs == -1 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)
