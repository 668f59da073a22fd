"""What gradients add: an attack within a bound on the untouched pictures, and on top of what the search made of them.

Carried out by what the exporter brings (`Writers.attack`): the runtime knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.asked import Attacked
from seedtune.runtime.scan.images import Images, in_bytes, of_bytes
from seedtune.runtime.scan.others import Other
from seedtune.runtime.scan.records import TransferRecord, WhiteBoxRecord
from seedtune.runtime.scan.settings import ScanSettings


def white_boxed(
    attack: Attacked, applied: Applied, images: Images, made: Floats, settings: ScanSettings, others: Sequence[Other]
) -> tuple[WhiteBoxRecord, npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Attacks ``images`` [G], and ``made`` [G, C H W]: what the search made of them, found or not.

    A picture that fooled before the attack on top and does not after it stays as it was.

    Returns:
        What came of it; the pictures made on top, [G, C H W] in bytes; and whether each of them fools, [G].
    """
    assert settings.also is not None
    before = applied.untouched(made).argmax(1) != images.labels
    alone = _attacked(attack, images, images.values, settings)
    on_top = _attacked(attack, images, made, settings)
    alone_fools, fools = (
        applied.untouched(of_bytes(pictures)).argmax(1) != images.labels for pictures in (alone, on_top)
    )
    on_top = np.where((before & ~fools)[:, None], in_bytes(made), on_top)
    fools |= before

    def shares(pictures: npt.NDArray[np.uint8], which: npt.NDArray[np.bool_]) -> tuple[TransferRecord, ...]:
        chosen = images.chosen(np.flatnonzero(which))
        return tuple(other.shown(chosen, pictures[which])[0] for other in others)

    record = WhiteBoxRecord(
        kind=settings.also,
        bound=settings.norm_bound,
        steps=settings.also_steps,
        alone=float(alone_fools.mean()),
        on_top=float(fools.mean()),
        transfer_alone=shares(alone, alone_fools),
        transfer=shares(on_top, fools),
    )
    return record, on_top, fools


def _attacked(attack: Attacked, images: Images, starts: Floats, settings: ScanSettings) -> npt.NDArray[np.uint8]:
    """In whole bytes, none farther from ``starts`` than the bound."""
    parts = []
    for first in range(0, len(starts), settings.images_per_call):
        part = slice(first, first + settings.images_per_call)
        shape = (-1, images.channels, images.height, images.width)
        moved = attack(
            starts[part].reshape(shape), images.labels[part], settings.norm_bound, settings.also_steps, settings.seed
        )
        parts.append(in_bytes(moved.reshape(len(moved), -1)))
    pictures, origin = np.concatenate(parts).astype(np.int16), in_bytes(starts).astype(np.int16)
    most = int(settings.norm_bound * 255)
    return np.clip(pictures, origin - most, origin + most).clip(0, 255).astype(np.uint8)
