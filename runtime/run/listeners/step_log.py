"""steps.jsonl: a line for each step."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.telemetry.events import Event, Step
from seedtune.runtime.telemetry.steplog import JsonLinesWriter


class StepLog(JsonLinesWriter):
    """A context manager that closes the file; see `JsonLinesWriter`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def on(self, event: Event) -> None:
        """Writes the record of a step.

        Raises:
            SeedTuneError: the line cannot be written.
        """
        if isinstance(event, Step):
            self.write(event.record)
