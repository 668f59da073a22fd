"""Whether steps wait for the storage that the weights are streamed from."""

from __future__ import annotations

import time
from collections.abc import Callable

from seedtune.runtime.graphs.types import Reading
from seedtune.runtime.telemetry.events import Event, Step

# The first steps also warm up; later ones are alike.
STEPS_WATCHED = 3
# Above this part of the time, faster storage or more memory is what would help. A guess: reading is hidden
# behind computing, so on storage as fast as the phones' that this is made for hardly anything is waited for.
WAITING_SHARE = 0.5


class SlowStorage:
    """Says once, after STEPS_WATCHED steps, that they wait for the storage; nothing if they do not.

    Args:
        reading: what streaming has taken so far.
        notice: where to say it.
        clock: seconds from any start, rising; for tests.
    """

    def __init__(
        self, reading: Callable[[], Reading], notice: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reading = reading
        self._notice = notice
        self._begin = reading()
        self._clock = clock
        self._began_at = clock()
        self._steps = 0

    def on(self, event: Event) -> None:
        """Counts one more step."""
        if not isinstance(event, Step):
            return
        self._steps += 1
        if self._steps != STEPS_WATCHED:
            return
        taken = self._reading().since(self._begin)
        seconds = self._clock() - self._began_at
        if taken.waited_seconds <= WAITING_SHARE * seconds:
            return
        self._notice(
            f"the storage is slow: the first {STEPS_WATCHED} steps took {seconds:.1f} s and waited "
            f"{taken.waited_seconds:.1f} s of them for {taken.bytes_read / 1e6:,.0f} MB of weights, read at "
            f"{taken.bytes_read / max(taken.reading_seconds, 1e-9) / 1e6:,.0f} MB/s; "
            "a larger --memory-limit or faster storage would help"
        )
