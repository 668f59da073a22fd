"""Other classifiers, shown what fooled the one that it was made on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.files import sha256_of
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.asked import Asked, Writers, opened
from seedtune.runtime.scan.images import Images, of_bytes
from seedtune.runtime.scan.records import TransferRecord


@dataclass(frozen=True)
class Other:
    """A classifier that is only shown pictures: its file, with its hash."""

    path: Path
    sha256: str
    applied: Applied

    def shown(self, originals: Images, pictures: npt.NDArray[np.uint8]) -> tuple[TransferRecord, Integers]:
        """How many of ``originals`` [F] it gets right and of ``pictures`` [F, C H W] not; its answers to these, [F]."""
        right = self.applied.untouched(originals.values).argmax(1) == originals.labels
        said = self.applied.untouched(of_bytes(pictures)).argmax(1)
        fooled = int((right & (said != originals.labels)).sum())
        return TransferRecord(path=str(self.path), sha256=self.sha256, right=int(right.sum()), fooled=fooled), said


def open_others(asked: Asked, folder: Path, write: Writers) -> list[Other]:
    """Those of ``asked``; their graphs go into ``folder``, each into one of its own."""
    return [
        Other(other.path, sha256_of(other.path), opened(other, folder / f"other-{number}", asked, write)[0])
        for number, other in enumerate(asked.others, 1)
    ]
