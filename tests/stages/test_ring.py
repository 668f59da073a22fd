"""The ring buffer against a plain list of the pieces that are out."""

from __future__ import annotations

import random
import threading

import pytest

from seedtune.runtime.stages.ring import ClosedError, Ring


@pytest.mark.parametrize("seed", range(5))
def test_pieces_that_are_out_never_overlap(seed: int) -> None:
    generator = random.Random(seed)
    ring = Ring(1000)
    out: list[tuple[int, int]] = []
    sizes = [generator.choice((1, 50, 333, 500, 999, 1000)) for _ in range(2000)]
    failures: list[str] = []
    changed = threading.Condition()

    def use() -> None:
        for _ in sizes:
            with changed:
                changed.wait_for(lambda: bool(out), timeout=20)
                first = out.pop(0)
                # The piece is free for others from here on.
                ring.give_back()
                if first[1] > 1000:
                    failures.append(f"{first} lies outside")

    user = threading.Thread(target=use)
    user.start()
    for size in sizes:
        offset = ring.take(size)
        with changed:
            overlapping = [piece for piece in out if offset < piece[1] and piece[0] < offset + size]
            if overlapping:
                failures.append(f"[{offset}, {offset + size}) overlaps {overlapping}")
            out.append((offset, offset + size))
            changed.notify()
    user.join(30)
    assert not user.is_alive()
    assert not failures


def test_a_thread_that_waits_for_room_ends_when_the_buffer_is_closed() -> None:
    ring = Ring(10)
    ring.take(10)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            ring.take(1)
        except ClosedError as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    ring.close()
    waiting.join(10)
    assert len(caught) == 1


def test_more_than_the_whole_buffer_is_refused() -> None:
    with pytest.raises(ValueError, match="11 bytes do not fit into 10"):
        Ring(10).take(11)
