"""What gradients add: an attack within a bound on the untouched pictures, and on top of what the search made of them.

Carried out by what the exporter brings (`Writers.attack`): the runtime knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.asked import Attacked
from seedtune.runtime.scan.images import Images
from seedtune.runtime.scan.others import Other
from seedtune.runtime.scan.records import TransferRecord, WhiteBoxRecord
from seedtune.runtime.scan.settings import ScanSettings


@dataclass(frozen=True)
class WhiteBoxed:
    """Pictures [G, C H W] in bytes: of the attack alone, and on top; and whether each fools."""

    alone: npt.NDArray[np.uint8]
    on_top: npt.NDArray[np.uint8]
    alone_fools: npt.NDArray[np.bool_]
    on_top_fools: npt.NDArray[np.bool_]

    def save(self, path: Path, originals: Images) -> None:
        """Writes ``images``, ``originals`` ([F, H, W, C] bytes), ``labels`` and ``places`` of what fools, on top."""
        places = np.flatnonzero(self.on_top_fools)
        shape = (len(places), originals.channels, originals.height, originals.width)

        def turned(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
            return values[places].reshape(shape).transpose(0, 2, 3, 1)

        np.savez_compressed(
            path,
            images=turned(self.on_top),
            originals=turned(_in_bytes(originals.values)),
            labels=originals.labels[places],
            places=places,
        )


def white_boxed(
    attack: Attacked, applied: Applied, images: Images, made: Floats, settings: ScanSettings, others: Sequence[Other]
) -> tuple[WhiteBoxRecord, WhiteBoxed]:
    """Attacks ``images`` [G], and ``made`` [G, C H W]: what the search made of them, found or not.

    A picture that fooled before the attack on top and does not after it stays as it was.
    """
    assert settings.also is not None
    before = applied.untouched(made).argmax(1) != images.labels
    alone = _attacked(attack, images, images.values, settings)
    on_top = _attacked(attack, images, made, settings)
    alone_fools, fools = (
        applied.untouched(_as_values(pictures)).argmax(1) != images.labels for pictures in (alone, on_top)
    )
    on_top = np.where((before & ~fools)[:, None], _in_bytes(made), on_top)
    found = WhiteBoxed(alone, on_top, alone_fools, before | fools)

    def shares(pictures: npt.NDArray[np.uint8], which: npt.NDArray[np.bool_]) -> tuple[TransferRecord, ...]:
        chosen = images.chosen(np.flatnonzero(which))
        return tuple(other.shown(chosen, pictures[which])[0] for other in others)

    record = WhiteBoxRecord(
        kind=settings.also,
        bound=settings.norm_bound,
        steps=settings.also_steps,
        alone=float(found.alone_fools.mean()),
        on_top=float(found.on_top_fools.mean()),
        transfer_alone=shares(found.alone, found.alone_fools),
        transfer=shares(found.on_top, found.on_top_fools),
    )
    return record, found


def _attacked(attack: Attacked, images: Images, starts: Floats, settings: ScanSettings) -> npt.NDArray[np.uint8]:
    """In whole bytes, none farther from ``starts`` than the bound."""
    parts = []
    for first in range(0, len(starts), settings.images_per_call):
        part = slice(first, first + settings.images_per_call)
        shape = (-1, images.channels, images.height, images.width)
        moved = attack(
            starts[part].reshape(shape), images.labels[part], settings.norm_bound, settings.also_steps, settings.seed
        )
        parts.append(_in_bytes(moved.reshape(len(moved), -1)))
    pictures, origin = np.concatenate(parts).astype(np.int16), _in_bytes(starts).astype(np.int16)
    most = int(settings.norm_bound * 255)
    return np.clip(pictures, origin - most, origin + most).clip(0, 255).astype(np.uint8)


def _in_bytes(values: Floats) -> npt.NDArray[np.uint8]:
    return np.round(values * np.float32(255)).astype(np.uint8)


def _as_values(pictures: npt.NDArray[np.uint8]) -> Floats:
    return pictures.astype(np.float32) / np.float32(255)
