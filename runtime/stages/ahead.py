"""Reads pieces of files ahead of their use: a thread fills a small buffer while the caller computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from seedtune.runtime.stages.ring import ClosedError, Ring

Piece = TypeVar("Piece")
Read = TypeVar("Read")


def read_ahead(
    pieces: Sequence[Piece],
    sizes_bytes: Sequence[int],
    read: Callable[[Piece, int], Read],
    buffer_bytes: int,
    name: str,
) -> Generator[Read, None, None]:
    """What ``read`` made of each piece, valid until the next one is asked for. Close the iterator when done with it.

    Args:
        pieces: in the order of their use.
        sizes_bytes: what each takes of the buffer; none is larger than it.
        read: reads a piece into the buffer at an offset; called by the thread.
        buffer_bytes: of the buffer; what lies ahead is read as soon as there is room.
        name: of the thread.

    Raises:
        BaseException: whatever ``read`` raised, where its piece would have been used.
    """
    ring = Ring(buffer_bytes)
    ready: queue.Queue[tuple[Read] | BaseException] = queue.Queue()

    def reading() -> None:
        try:
            for piece, size in zip(pieces, sizes_bytes, strict=True):
                ready.put((read(piece, ring.take(size)),))
        except ClosedError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the piece
            ready.put(error)

    reader = threading.Thread(target=reading, name=name, daemon=True)
    reader.start()
    try:
        for _ in pieces:
            found = ready.get()
            if isinstance(found, BaseException):
                raise found
            yield found[0]
            ring.give_back()
    finally:
        ring.close()
        reader.join()
