"""Keeps what mapped weight files take of this process's memory low while an export reads them.

Pages of a mapped file stay in the resident set until the kernel needs room, so that an export's peak would be the size
of the model. A thread looks at the resident file pages every few milliseconds and unmaps those of the named files when
they exceed a limit (``MADV_DONTNEED``, see madvise(2)): the page cache keeps them, and touching one again costs a page
fault. A mapping that holds a private copy of any page is left alone, because its changes would be lost.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT_BYTES = 256 << 20
INTERVAL_SECONDS = 0.02
MADV_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)
STATM, SMAPS = Path("/proc/self/statm"), Path("/proc/self/smaps")


@contextmanager
def mapped_pages_limited(files: Iterable[Path], limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """Holds resident pages of ``files`` near ``limit_bytes`` while the context lasts; does nothing off Linux."""
    if MADV_DONTNEED is None or not SMAPS.exists():
        yield
        return
    names = {os.path.realpath(file) for file in files}
    stop = threading.Event()
    # What is resident before any of the files is, such as the libraries.
    base = resident_file_bytes()

    def watch() -> None:
        while not stop.wait(INTERVAL_SECONDS):
            if resident_file_bytes() - base > limit_bytes:
                drop_pages(names)

    thread = threading.Thread(target=watch, name="mapped pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def resident_file_bytes() -> int:
    """RssFile and RssShmem of this process, from /proc/self/statm."""
    return int(STATM.read_text().split()[2]) * mmap.PAGESIZE


def drop_pages(names: set[str]) -> int:
    """Unmaps the resident pages of every unmodified mapping of the files ``names``; returns their bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    dropped = 0
    for start, end, fields in _mappings(names):
        unmodified = fields.get("Anonymous") == 0
        if unmodified and fields["Rss"] and libc.madvise(start, end - start, MADV_DONTNEED) == 0:
            dropped += fields["Rss"]
    return dropped


def _mappings(names: set[str]) -> Iterator[tuple[int, int, dict[str, int]]]:
    """Start, end, and sizes in bytes by their names in smaps, of each mapping of the files ``names``."""
    span: tuple[int, int] | None = None
    fields: dict[str, int] = {}
    for line in SMAPS.read_text(errors="replace").splitlines():
        words = line.split(maxsplit=5)
        if words[0].endswith(":"):
            if span and len(words) == 3 and words[2] == "kB":
                fields[words[0][:-1]] = int(words[1]) * 1024
            continue
        if span:
            yield *span, fields
        start, end = (int(address, 16) for address in words[0].split("-"))
        span, fields = ((start, end) if len(words) == 6 and words[5] in names else None), {}
    if span:
        yield *span, fields
