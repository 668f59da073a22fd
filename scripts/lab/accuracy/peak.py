"""The most resident memory of this process while a part of it ran."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from lab.process_memory import memory_of


class PeakMemory:
    """``with PeakMemory() as peak: ...; peak.bytes``: the kernel's own high-water mark, set back at the beginning.

    ``bytes`` is None where the kernel does not let it be set back.
    """

    bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._known = True
        except OSError:
            self._known = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bytes = memory_of(os.getpid()).get("VmHWM") if self._known else None
