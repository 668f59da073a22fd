"""A run as an iterator: its events one by one, a way to stop it, and what it came to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from seedtune.runtime.run.request import Request
from seedtune.runtime.run.start import tuning
from seedtune.runtime.telemetry.events import Event, Finished
from seedtune.runtime.telemetry.records import RunResult


class Tuning(Iterator[Event]):
    """The events of a run, made as they are asked for; nothing happens before the first one is."""

    def __init__(self, request: Request) -> None:
        self.request = request
        # Of its own, so that the events do not refer back to this object: dropping it, as a loop that is left does,
        # then ends the run at once.
        self._stopping = threading.Event()
        self._result: RunResult | None = None
        self._events = tuning(request, self._stopping.is_set)

    def __next__(self) -> Event:
        event = next(self._events)
        if isinstance(event, Finished):
            self._result = event.result
        return event

    def stop(self) -> None:
        """Ends the run after the step in flight; Finished comes all the same, and the run can be resumed."""
        self._stopping.set()

    def close(self) -> None:
        """Ends the run at once, after the last step that was told of; it can be resumed."""
        self._events.close()

    @property
    def result(self) -> RunResult:
        """What the run came to.

        Raises:
            RuntimeError: it has not ended yet.
        """
        if self._result is None:
            raise RuntimeError("the run has not ended: take its events first")
        return self._result
