"""Memory of whole pages, which the system gets back as soon as it is not used any more."""

from __future__ import annotations

import mmap

import numpy as np


class Pages:
    """Anonymous memory that starts on a page.

    Attributes:
        size_bytes: of it.
        view: what can be read into.
        address: of its first byte.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = max(size_bytes, mmap.PAGESIZE)
        self._map = mmap.mmap(-1, self.size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._map)
        self.address = int(np.frombuffer(self._map, np.uint8).ctypes.data)
