"""Keeps what mapped weight files take of this process's memory low while an export reads them.

Pages of a mapped file stay in the resident set until the kernel needs room, so that an export's peak would be the size
of the model. A thread looks at the resident file pages every few milliseconds and has those of the named files
reclaimed when they exceed a limit. The advice is ``MADV_PAGEOUT`` (Linux 5.4, madvise(2)), which loses nothing whatever
lies at an address: ONNX Runtime maps and unmaps the weights file hundreds of times while it opens a graph, so by the
time of the advice other memory may have taken the place of a mapping, and ``MADV_DONTNEED`` would make it zeros.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT_BYTES = 256 << 20
INTERVAL_SECONDS = 0.02
# From the kernel's uapi/asm-generic/mman-common.h; the module mmap does not name it.
MADV_PAGEOUT = 21
STATM, MAPS = Path("/proc/self/statm"), Path("/proc/self/maps")


@contextmanager
def mapped_pages_limited(files: Iterable[Path], limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """Holds resident pages of ``files`` near ``limit_bytes`` while the context lasts; does nothing off Linux."""
    if not sys.platform.startswith("linux"):
        yield
        return
    names = {os.path.realpath(file) for file in files}
    stop = threading.Event()
    # What is resident before any of the files is, such as the libraries.
    base = resident_file_bytes()

    def watch() -> None:
        while not stop.wait(INTERVAL_SECONDS):
            if resident_file_bytes() - base > limit_bytes:
                page_out(mappings(names))

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


def page_out(spans: Iterable[tuple[int, int]]) -> None:
    """Has the pages between the addresses of each span reclaimed; what they hold is there again when it is touched.

    A kernel that does not know the advice, or a file that this user may not write, leaves them where they are.
    """
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in spans:
        libc.madvise(start, end - start, MADV_PAGEOUT)


def mappings(names: set[str]) -> list[tuple[int, int]]:
    """First address and end of each mapping of the files ``names``, as they are at this moment."""
    spans = []
    for line in MAPS.read_text(errors="replace").splitlines():
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[5] in names:
            start, end = (int(address, 16) for address in words[0].split("-"))
            spans.append((start, end))
    return spans
