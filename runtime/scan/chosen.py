"""Which pictures are searched: those that the classifier gets right, by what somebody or it itself says they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.images import Images
from seedtune.runtime.scan.records import ImagesInfo


def choose(images: Images, images_path: Path, scores: Floats, classifier: Path) -> tuple[Images, Integers, ImagesInfo]:
    """The pictures that the classifier gets right, their places, and what is said of all.

    Args:
        images: N of them.
        images_path: where they are from.
        scores: of the classifier, [N, L].
        classifier: its file.

    Raises:
        SeedTuneError: a class is out of range, or missing for some pictures; or none is got right.
    """
    answers = scores.argmax(1)
    known = images.labels >= 0
    if known.any() and not known.all():
        raise SeedTuneError(
            "some of the pictures have no class, and some have one",
            file=images_path,
            value=images.names[int(np.flatnonzero(~known)[0])],
            rule="each in a folder that is named by its class's number, or none",
            remedy="move them, or take them out",
        )
    labelled = bool(known.all())
    classes = scores.shape[1]
    if labelled and images.labels.max() >= classes:
        place = int(images.labels.argmax())
        raise SeedTuneError(
            "a picture has a class that the classifier has not",
            file=images_path,
            value=f"{images.names[place]}: {images.labels[place]}",
            rule=f"0 to {classes - 1}",
            remedy="give the classifier that was trained on these classes",
        )
    labels = images.labels if labelled else answers.astype(np.int64)
    right = np.flatnonzero(answers == labels)
    if not len(right):
        raise SeedTuneError(
            "the classifier gets none of these pictures right, so there is nothing to look for",
            file=classifier,
            value=f"0 of {len(images)}",
            rule="one at least",
            remedy="look at --mean, --deviation and the numbers of the classes",
        )
    chosen = images.chosen(right)
    chosen = Images(chosen.values, labels[right], chosen.names, images.height, images.width, images.channels)
    info = ImagesInfo(
        path=str(images_path),
        height=images.height,
        width=images.width,
        channels=images.channels,
        given=len(images),
        right=len(right),
        labelled=labelled,
    )
    return chosen, right, info
