"""A reader with every fault that the fuzzer is to find, one for each seed; for the fuzzer's own tests."""

from __future__ import annotations

import ctypes
import random
import signal
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from fuzz.target import Files, Target, WrongError
from seedtune.runtime.errors import SeedTuneError

FILE = "number"
EXPECTED = (
    "accepted",
    "refused",
    "unclear",
    "unclear",
    "traceback",
    "traceback",
    "wrong",
    "hang",
    "hang",
    "memory",
    "memory",
    "crash",
    "accepted",
)


class FaultyTarget(Target):
    """See the module docstring."""

    name = "faulty"

    def make(self) -> dict[str, bytes]:
        """A file that is read without a fault."""
        return {FILE: b"0"}

    def mutated_by(self, seed: int) -> Files:
        """The seed itself."""
        return {FILE: str(seed).encode()}

    def mutated(self, generator: random.Random) -> Files:
        """Nothing."""
        return {}

    def read(self) -> None:
        """Does what the number in the file stands for."""
        path = self.folder / FILE
        number = int(path.read_bytes())
        faults: dict[int, Callable[[], object]] = {
            1: lambda: _raise(SeedTuneError("no", file=path, remedy="do")),
            2: lambda: _raise(SeedTuneError("no", remedy="do")),
            3: lambda: _raise(SeedTuneError("no", file=path)),
            4: lambda: [][number],
            5: lambda: _raise(KeyboardInterrupt()),
            6: lambda: _raise(WrongError("no")),
            7: lambda: time.sleep(100),
            8: self._deaf,
            9: lambda: np.ones(300_000_000, np.uint8),
            10: self._swallow,
            11: lambda: ctypes.string_at(0),
        }
        faults.get(number, lambda: None)()

    def _deaf(self) -> None:
        """As a library that is busy in its own code: no alarm comes through."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(100)

    def _swallow(self) -> None:
        try:
            np.ones(300_000_000, np.uint8)
        except MemoryError as error:
            raise SeedTuneError("no", file=self.folder / FILE, remedy="do") from error


def _raise(error: BaseException) -> NoReturn:
    raise error
