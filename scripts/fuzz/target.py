"""What a fuzz target is: whole files, a way to spoil them that follows from a seed, and a reading that is checked."""

from __future__ import annotations

import json
import os
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal


class WrongError(Exception):
    """A reader took an input for something that it does not say."""


@dataclass(frozen=True)
class Odd:
    """What may stand in the place of a file."""

    kind: Literal["missing", "folder", "pipe", "link", "endless"]


# Python's own limit is 4,300.
MOST_DIGITS = 4_000
# Path in the target's folder -> what stands there instead.
Files = Mapping[str, "bytes | Odd"]
ODD = (Odd("missing"), Odd("folder"), Odd("pipe"), Odd("link"), Odd("endless"))


class Target(ABC):
    """One kind of input.

    Args:
        folder: empty; holds the whole files between two readings.

    Attributes:
        name: as on the command line.
        whole: path in the folder -> bytes of an input that must be accepted.
        said: of the last input that was accepted, what a reader in another language must find, too; as JSON has it.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: object = None
        self.whole: dict[str, bytes] = self.make()
        for path in self.whole:
            self._put(path, self.whole[path])

    @abstractmethod
    def make(self) -> dict[str, bytes]:
        """The whole files."""

    @abstractmethod
    def mutated(self, generator: random.Random) -> Files:
        """What is to stand in the folder instead; the same for the same state of ``generator``."""

    @abstractmethod
    def read(self) -> None:
        """Reads what is in the folder.

        Raises:
            SeedTuneError: it is refused.
            WrongError: it was accepted, and the result is not what the files say.
        """

    def mutated_by(self, seed: int) -> Files:
        """The input of ``seed``."""
        return self.mutated(random.Random(f"{self.name} {seed}"))

    @contextmanager
    def placed(self, files: Files) -> Iterator[None]:
        """``files`` in the folder; the whole ones again afterwards."""
        try:
            for path, content in files.items():
                self._put(path, content)
            yield
        finally:
            for path in files:
                self._put(path, self.whole.get(path, Odd("missing")))

    def _put(self, path: str, content: bytes | Odd) -> None:
        place = self.folder / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif place.is_symlink() or place.exists():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        elif content.kind == "folder":
            place.mkdir()
        elif content.kind == "pipe":
            os.mkfifo(place)
        elif content.kind == "link":
            place.symlink_to(place.name)
        elif content.kind == "endless":
            place.symlink_to("/dev/zero")


def plain_json(raw: bytes | str) -> Any:
    """JSON by Python's own reader, which takes a number of any length here: others may step over it."""
    return json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) < MOST_DIGITS else float(digits[:300]))


def require_equal(found: object, expected: object, what: str) -> None:
    """Raises WrongError where two values differ; see :func:`same`."""
    try:
        holds = same(found, expected)
    except RecursionError:
        # Nested more deeply than is walked here.
        holds = found == expected
    if not holds:
        raise WrongError(f"{what}: read {found!r:.300}, but the file says {expected!r:.300}")


def same(found: object, expected: object) -> bool:
    """Whether two values are equal, with tuples as lists, NaN as itself, and whole numbers as their floats."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[name], expected[name]) for name in found)
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, bool) != isinstance(expected, bool):
        return False
    if isinstance(found, float) and isinstance(expected, int):
        try:
            return found == float(expected)
        except OverflowError:
            return False
    return found == expected or repr(found) == repr(expected)
