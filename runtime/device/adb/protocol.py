"""What the rest of the room asks of adb: one call with arguments, bytes in, and bounded bytes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

# What one call may print. The longest answer that is asked for is a few chunks of files; more is a phone gone wild.
LIMIT_BYTES = 8 << 20
SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Output:
    """What a call of adb came to; ``errors`` holds its standard error, cut to its first 64 KiB."""

    status: int
    out: bytes
    errors: bytes


class Adb(Protocol):
    """An adb program, or something that behaves like one."""

    def run(
        self,
        arguments: list[str],
        *,
        feed: Iterable[bytes] = (),
        silence_seconds: float = SILENCE_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Output:
        """Runs adb with ``arguments``.

        Args:
            arguments: as on a command line, without the program.
            feed: standard input, chunk by chunk; each is asked for when the one before is taken.
            silence_seconds: ends the call when no byte moved in either direction for so long.
            limit_bytes: of standard output.

        Raises:
            SeedTuneError: adb cannot be run, or printed more than ``limit_bytes``.
            DisconnectedError: it was silent for too long.
        """
        ...


class DisconnectedError(Exception):
    """The phone cannot be reached now; what was asked for may or may not have happened there.

    Whoever can wait tries again; elsewhere it becomes a SeedTuneError with a remedy
    (:mod:`seedtune.runtime.device.adb.refusals`).
    """
