"""What a scan is asked for, and what writes and opens its graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.scan.answers import Answers, Floats, open_classifier
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.images import Images
from seedtune.runtime.scan.settings import ScanSettings


class Gradients(Protocol):
    """Attacks with the gradients of a classifier, which the runtime does not import."""

    def on_pictures(self, starts: Floats, labels: Integers, bound: float, steps: int, seed: int) -> Floats:
        """Pictures within ``bound`` of ``starts`` [R, C, H, W], that are not to be read as ``labels`` [R]."""
        ...

    def on_states(
        self,
        pictures: Floats,
        patterns: Integers | None,
        labels: Integers,
        states: Floats,
        reach: float,
        steps: int,
    ) -> Floats:
        """States within ``reach`` of ``states`` [R, n], by the loss of what they make of ``pictures`` [R, C, H, W]."""
        ...


class Given(Protocol):
    """A classifier as its file describes it: `Classifier` of the exporter, which the runtime does not import."""

    @property
    def path(self) -> Path:
        """Of the file."""
        ...

    @property
    def image_input(self) -> str:
        """The name of its input."""
        ...

    @property
    def score_output(self) -> str:
        """The name of the output with its scores."""
        ...

    @property
    def order(self) -> str:
        """Where channels stand: first, last, or nowhere in a flat input."""
        ...

    @property
    def kind(self) -> str:
        """float32 or uint8."""
        ...


@dataclass(frozen=True)
class Writers:
    """What writes the graphs of a scan: the exporter's, which the runtime does not import.

    Attributes:
        maps: (folder, classifier) -> probe.onnx, apply.onnx and update.onnx there.
        pixels: likewise, for the control that changes each pixel by itself.
        loss: (folder, whether scores are probabilities) -> loss.onnx there.
        gradients: (classifier, values [R, C H W] and its scores to them [R, L], whether these are probabilities) ->
            attacks with its gradients, see `white_box.py`.
    """

    maps: Callable[[Path, Any], None]
    pixels: Callable[[Path, Any], None]
    loss: Callable[[Path, bool], None]
    gradients: Callable[[Any, Floats, Floats, bool], Gradients]


@dataclass(frozen=True)
class Asked:
    """What a scan is asked for: ``others`` are classifiers that are shown what was found."""

    classifier: Given
    images: Images
    images_path: Path
    settings: ScanSettings
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    others: Sequence[Given] = field(default=())
    threads: int | None = None


def opened(classifier: Given, folder: Path, asked: Asked, write: Writers) -> tuple[Applied, Answers]:
    """Writes the graphs for ``classifier`` into the new ``folder``, and opens both."""
    folder.mkdir()
    write.maps(folder, classifier)
    session = open_classifier(classifier.path, asked.threads)
    answers = Answers(session, classifier.image_input, classifier.score_output, classifier.path)
    return Applied(folder, answers, asked.settings.images_per_call, asked.threads), answers
