"""A fixed buffer of which contiguous pieces are taken and given back in the same order, by two threads."""

from __future__ import annotations

import threading
from collections import deque


class ClosedError(Exception):
    """The buffer was closed while a thread waited for room."""


class Ring:
    """Places in a buffer of ``capacity_bytes``; which bytes they stand for is the owner's business."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._taken: deque[tuple[int, int]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def take(self, size_bytes: int) -> int:
        """The offset of ``size_bytes`` contiguous bytes; waits until they are free.

        Raises:
            ValueError: more than the whole buffer.
            ClosedError: the buffer was closed meanwhile.
        """
        if size_bytes > self.capacity_bytes:
            raise ValueError(f"{size_bytes:,} bytes do not fit into {self.capacity_bytes:,}")
        with self._changed:
            while True:
                if self._closed:
                    raise ClosedError
                offset = self._free_offset(size_bytes)
                if offset is not None:
                    self._taken.append((offset, offset + size_bytes))
                    return offset
                self._changed.wait()

    def give_back(self) -> None:
        """Frees the piece that was taken first."""
        with self._changed:
            self._taken.popleft()
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the waiting of :meth:`take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _free_offset(self, size_bytes: int) -> int | None:
        if not self._taken:
            return 0
        first, last = self._taken[0][0], self._taken[-1][1]
        if self._taken[-1][0] < first:
            return last if first - last >= size_bytes else None
        if self.capacity_bytes - last >= size_bytes:
            return last
        return 0 if first >= size_bytes else None
