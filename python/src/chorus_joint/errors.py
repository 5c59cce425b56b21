"""What can go wrong, by the codes of the library."""

from __future__ import annotations


class ChorusError(Exception):
    """Any failure of a call; `code` is the library's."""

    code = 70


class UsageError(ChorusError, ValueError):
    """What was asked for cannot be done: a plan, a size, an unknown name."""

    code = 64


class DataError(ChorusError, ValueError):
    """Rows, points or a file hold something wrong."""

    code = 65


class MissingError(ChorusError, FileNotFoundError):
    """There is no such model or file."""

    code = 66


class InternalError(ChorusError, RuntimeError):
    """A fault of the library."""

    code = 70


class FileAccessError(ChorusError, OSError):
    """The system refused to read or write."""

    code = 74


class CancelledError(ChorusError, RuntimeError):
    """The call was stopped."""

    code = 130


_classes = {kind.code: kind for kind in (UsageError, DataError, MissingError, InternalError, FileAccessError, CancelledError)}


def of(code: int, text: str) -> ChorusError:
    """The exception for a code of the library."""
    return _classes.get(code, InternalError)(text)
