"""Who may write a context cache: one process at a time, the others wait."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from seedtune.runtime.errors import SeedTuneError


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Waits until nobody else appends to the cache at ``path``, and keeps others waiting.

    Raises:
        SeedTuneError: the file of the lock cannot be made.
    """
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire()
    except OSError as error:
        raise unusable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def unusable(path: Path, error: OSError) -> SeedTuneError:
    """The refusal of a cache at ``path`` that cannot be made or written, for the reason ``error``."""
    return SeedTuneError(
        f"the context cache cannot be written ({error.strerror or error})",
        file=path,
        rule="a folder that can be written, with room for the cache",
        remedy="free space, choose another folder with --cache, or keep less with --cache-limit",
    )
