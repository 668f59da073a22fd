"""What gradients add, on the untouched pictures and to what the search made of them.

First they take the search's own states on, within the rules of a find; then pictures are attacked within a bound, from
the untouched ones and from those. Carried out by what the exporter brings (`asked.Gradients`): the runtime knows
nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.asked import Gradients
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.images import Images, in_bytes, of_bytes
from seedtune.runtime.scan.others import Other
from seedtune.runtime.scan.records import TransferRecord, WhiteBoxRecord
from seedtune.runtime.scan.search import Findings
from seedtune.runtime.scan.settings import ScanSettings
from seedtune.runtime.scan.verified import found_pictures, reached_pictures

# How far a knot may go: from black to white.
STATE_REACH = 1.0


def white_boxed(
    gradients: Gradients,
    applied: Applied,
    feeder: ImageFeeder,
    images: Images,
    findings: Findings,
    settings: ScanSettings,
    others: Sequence[Other],
) -> tuple[WhiteBoxRecord, npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Attacks ``images`` [G], which ``feeder`` has too, and what the search made of them: its ``findings``.

    A picture that fooled before the attack on top and does not after it stays as it was.

    Returns:
        What came of it; the pictures made on top, [G, C H W] in bytes; and whether each of them fools, [G].
    """
    assert settings.also is not None
    made, before = _made(gradients, applied, feeder, images, findings, settings)
    alone = _attacked(gradients, images, images.values, settings)
    on_top = _attacked(gradients, images, made, settings)
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
        on_map=float(before.mean()),
        on_top=float(fools.mean()),
        transfer_alone=shares(alone, alone_fools),
        transfer=shares(on_top, fools),
    )
    return record, on_top, fools


def _made(
    gradients: Gradients,
    applied: Applied,
    feeder: ImageFeeder,
    images: Images,
    findings: Findings,
    settings: ScanSettings,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What the search, and gradients from where it ended, make of each picture, [G, C H W]; whether it is a find."""
    made, finds = feeder.values.copy(), np.zeros(len(feeder), np.bool_)
    closed = np.flatnonzero(~findings.open)
    if closed.size:
        made[closed], finds[closed] = found_pictures(applied, feeder, closed, findings.states[closed])
    left, shape = np.flatnonzero(findings.open), (-1, images.channels, images.height, images.width)
    for first in range(0, len(left), settings.images_per_call):
        part = left[first : first + settings.images_per_call]
        ended = findings.states[part]
        taken_on = gradients.on_states(
            feeder.values[part].reshape(shape),
            None if feeder.patterns is None else feeder.patterns[part],
            feeder.labels[part],
            ended,
            STATE_REACH,
            settings.also_steps,
        )
        (searched, found), (further, more) = (
            reached_pictures(applied, feeder, part, states, settings) for states in (ended, taken_on)
        )
        made[part], finds[part] = np.where((more & ~found)[:, None], further, searched), found | more
    return made, finds


def _attacked(gradients: Gradients, images: Images, starts: Floats, settings: ScanSettings) -> npt.NDArray[np.uint8]:
    """In whole bytes, none farther from ``starts`` than the bound."""
    parts = []
    for first in range(0, len(starts), settings.images_per_call):
        part = slice(first, first + settings.images_per_call)
        shape = (-1, images.channels, images.height, images.width)
        moved = gradients.on_pictures(
            starts[part].reshape(shape), images.labels[part], settings.norm_bound, settings.also_steps, settings.seed
        )
        parts.append(in_bytes(moved.reshape(len(moved), -1)))
    pictures, origin = np.concatenate(parts).astype(np.int16), in_bytes(starts).astype(np.int16)
    most = int(settings.norm_bound * 255)
    return np.clip(pictures, origin - most, origin + most).clip(0, 255).astype(np.uint8)
