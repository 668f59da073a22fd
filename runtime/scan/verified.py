"""What was found, held against the classifier once more: the picture in bytes, and the answer that it gets."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.images import Images, in_bytes
from seedtune.runtime.scan.records import ImageRecord
from seedtune.runtime.scan.search import Findings
from seedtune.runtime.scan.settings import ScanSettings


def verified(
    applied: Applied, feeder: ImageFeeder, findings: Findings, images: Images, right: Integers, steps: int
) -> tuple[list[ImageRecord], npt.NDArray[np.uint8]]:
    """A record of each of G pictures, and those that were found, [F, C H W].

    Args:
        applied: makes pictures of states, and asks.
        feeder: of the pictures.
        findings: of the search.
        images: the pictures.
        right: [G] their places among those that were given.
        steps: of the whole search.
    """
    found_places = np.flatnonzero(~findings.open)
    pictures, scores, correlation, contrast = applied.pictures(feeder, found_places, findings.states[found_places])
    answers = scores.argmax(1)
    of_place = {int(place): number for number, place in enumerate(found_places)}
    records, kept = [], []
    for place, name in enumerate(images.names):
        step, label = int(findings.step[place]), int(images.labels[place])
        number = of_place.get(place)
        if number is None or answers[number] == label:
            records.append(
                ImageRecord(place=int(right[place]), name=name, label=label, found=False, queries=2 * (step or steps))
            )
            continue
        kept.append(number)
        records.append(
            ImageRecord(
                place=int(right[place]),
                name=name,
                label=label,
                found=True,
                queries=2 * step,
                step=step,
                side=int(findings.side[place]),
                after=int(answers[number]),
                correlation=float(correlation[number]),
                contrast=float(contrast[number]),
            )
        )
    return records, in_bytes(pictures[kept])


def reached_pictures(
    applied: Applied, feeder: ImageFeeder, places: Integers, states: Floats, settings: ScanSettings
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What ``states`` [R, n] make of the rows ``places`` [R], [R, C H W] in whole 255ths; whether it is a find, [R].

    What is not like the original any more does not count: the picture stays as it was.
    """
    pictures, scores, correlation, contrast = applied.pictures(feeder, places, states)
    alike = (correlation >= settings.correlation) & (contrast >= settings.contrast)
    reached = np.where(alike[:, None], _whole(pictures), feeder.values[places])
    return reached, alike & (scores.argmax(1) != feeder.labels[places])


def found_pictures(
    applied: Applied, feeder: ImageFeeder, places: Integers, states: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """As :func:`reached_pictures`, of rows that the search found: they are alike, for it counted no others."""
    pictures, scores, _, _ = applied.pictures(feeder, places, states)
    return _whole(pictures), scores.argmax(1) != feeder.labels[places]


def _whole(pictures: Floats) -> Floats:
    return (np.round(pictures * np.float32(255)) / np.float32(255)).astype(np.float32, copy=False)


def with_others(records: Sequence[ImageRecord], said: Sequence[Integers]) -> list[ImageRecord]:
    """``records`` with the answers of other classifiers: ``said`` of each to every picture that was found, [F]."""
    number, full = 0, []
    for record in records:
        if record.found:
            others = tuple(int(answers[number]) for answers in said)
            full.append(msgspec.structs.replace(record, others=others))
            number += 1
        else:
            full.append(record)
    return full
