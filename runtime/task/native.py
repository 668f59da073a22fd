"""Failures of the tokenizers library: it raises bare exceptions, and panics, which are none in Python's sense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from seedtune.runtime.errors import SeedTuneError

# What pyo3 makes of a panic: a BaseException whose class cannot be imported.
PANIC = "PanicException"


@contextmanager
def refusing(what: str, remedy: str, file: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """A block that calls into the library; whatever it raises becomes a SeedTuneError about ``what``."""
    try:
        yield
    except SeedTuneError:
        raise
    except MemoryError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        lines = str(error).strip().splitlines()
        raise SeedTuneError(
            what, file=file, value=lines[0] if lines else type(error).__name__, remedy=remedy
        ) from error
