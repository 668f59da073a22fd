"""Reads pieces of files ahead of their use: a thread fills a small buffer while the caller computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from seedtune.runtime.stages.ring import ClosedError, Ring

Piece = TypeVar("Piece")
Read = TypeVar("Read")


class ReadAhead(Iterator[Read], Generic[Piece, Read]):
    """What ``read`` makes of each piece, valid until it is released or the next one is asked for.

    Whoever leaves before its end or an error closes it.

    Args:
        pieces: in the order of their use.
        sizes_bytes: what each takes of the buffer; none is larger than it.
        read: reads a piece into the buffer at an offset; called by the thread.
        buffer_bytes: of the buffer; what lies ahead is read as soon as there is room, from now on.
        name: of the thread.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        sizes_bytes: Sequence[int],
        read: Callable[[Piece, int], Read],
        buffer_bytes: int,
        name: str,
    ) -> None:
        self._left = len(pieces)
        self._held = False
        self._ring = Ring(buffer_bytes)
        ring, ready = self._ring, queue.Queue[tuple[Read] | BaseException]()
        self._ready = ready

        def reading() -> None:
            try:
                for piece, size in zip(pieces, sizes_bytes, strict=True):
                    ready.put((read(piece, ring.take(size)),))
            except ClosedError:
                return
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the piece
                ready.put(error)

        self._reader = threading.Thread(target=reading, name=name, daemon=True)
        self._reader.start()

    def __next__(self) -> Read:
        """Waits for the next piece.

        Raises:
            BaseException: whatever ``read`` raised, where its piece would have been used.
        """
        self.release()
        if not self._left:
            self.close()
            raise StopIteration
        found = self._ready.get()
        if isinstance(found, BaseException):
            self.close()
            raise found
        self._left -= 1
        self._held = True
        return found[0]

    def release(self) -> None:
        """Gives the memory of the piece in use back, so that another one can be read into it."""
        if self._held:
            self._held = False
            self._ring.give_back()

    def close(self) -> None:
        """Ends the thread; nothing that was read is valid any more."""
        self._ring.close()
        self._reader.join()
