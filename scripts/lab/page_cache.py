"""Files and the page cache: drop them from it, see what is still in it, and read past it to time the storage."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import time
from collections.abc import Iterable
from pathlib import Path

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
BLOCK_BYTES = 8 << 20
# Enough for a steady figure, little enough for a slow card: a guess.
RATE_BYTES, RATE_SECONDS = 2 << 30, 10.0


def drop(files: Iterable[Path], *, everything: bool = True) -> int:
    """Takes ``files`` out of the page cache.

    Pages that another process has mapped stay, so the result matters: a command that finds pages cached is not charged
    for them.

    Args:
        files: written back first, because dirty pages cannot be dropped.
        everything: also ask the kernel to drop all clean pages of the machine, where that is allowed; shared libraries
            go that way. It slows whatever else runs.

    Returns:
        Bytes of ``files`` that are still cached.

    Raises:
        OSError: a file cannot be read.
    """
    files = list(files)
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if everything:
        os.sync()
        with contextlib.suppress(OSError):
            DROP_CACHES.write_text("1")
    return sum(cached_bytes(file) for file in files)


def cached_bytes(file: Path) -> int:
    """Bytes of ``file`` in the page cache, in whole pages (mincore).

    The kernel tells the file's owner and root; to others the whole file seems cached.

    Raises:
        OSError: the file cannot be mapped.
    """
    size = file.stat().st_size
    if not size:
        return 0
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    residency = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
    with file.open("rb") as opened:
        # mmap.mmap gives no address of a read-only map.
        address = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, opened.fileno(), 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "cannot be mapped", str(file))
    failed = library.mincore(address, size, residency)
    reason = ctypes.get_errno()
    library.munmap(address, size)
    if failed:
        raise OSError(reason, "its cached pages cannot be counted", str(file))
    # The lowest bit says it; the others are reserved.
    return sum(byte & 1 for byte in residency.raw) * mmap.PAGESIZE


def sequential_read_rate(file: Path) -> float | None:
    """Bytes a second of reading ``file`` from its start past the page cache (O_DIRECT), one 8 MB block at a time.

    A virtual disk may have a cache of its own below, on the host. None where the filesystem does not offer it (tmpfs).
    """
    read, started = 0, time.perf_counter()
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_DIRECT)
        try:
            # Anonymous maps begin at a page, as O_DIRECT wants.
            with mmap.mmap(-1, BLOCK_BYTES) as block:
                while read < RATE_BYTES and time.perf_counter() - started < RATE_SECONDS:
                    count = os.preadv(descriptor, [block], read)
                    read += count
                    if count < BLOCK_BYTES:
                        break
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return read / (time.perf_counter() - started) if read else None
