"""What states make of pictures, and what a classifier says of them; one state a picture, no sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.scan.answers import Answers, Floats
from seedtune.runtime.scan.feeder import ImageFeeder


class Applied:
    """apply.onnx and the classifier.

    Args:
        folder: of the graphs.
        answers: of the classifier.
        images_per_call: bounds memory.
        threads: of ONNX Runtime.
    """

    def __init__(self, folder: Path, answers: Answers, images_per_call: int, threads: int | None = None) -> None:
        self._apply = open_session(folder / "apply.onnx", threads)
        self._answers = answers
        self.images_per_call = images_per_call
        inputs = {each.name: each for each in self._apply.get_inputs()}
        self.parameters = int(inputs["state"].shape[1])
        self._has_patterns = "pattern" in inputs

    def untouched(self, values: Floats) -> Floats:
        """Scores [N, L] of the pictures ``values`` [N, P]."""
        labels = np.zeros(len(values), np.int64)
        # The state is zero: whatever pattern a pixel is of, it is not moved.
        patterns = np.zeros(values.shape, np.int64) if self._has_patterns else None
        feeder = ImageFeeder(values, labels, patterns)
        return self.pictures(feeder, np.arange(len(values)), np.zeros((len(values), self.parameters), np.float32))[1]

    def pictures(self, feeder: ImageFeeder, places: Integers, states: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Pictures [R, P], scores [R, L], correlation and contrast [R] of the rows ``places`` at ``states`` [R, n]."""
        parts = list(self._parts(feeder, places, states)) or [self._none(feeder)]
        pictures, scores, correlation, contrast = (np.concatenate(each) for each in zip(*parts, strict=True))
        return pictures, scores, correlation, contrast

    def _parts(self, feeder: ImageFeeder, places: Integers, states: Floats) -> Iterator[tuple[Floats, ...]]:
        for batch in feeder.batches(places, self.images_per_call):
            feeds = {name: array for name, array in batch.arrays.items() if name != "label"}
            names = ["pictures", "input", "correlation", "contrast"]
            pictures, given, correlation, contrast = self._apply.run(names, {**feeds, "state": states[batch.index]})
            yield pictures, self._answers(given), correlation, contrast

    def _none(self, feeder: ImageFeeder) -> tuple[Floats, ...]:
        nothing: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        return nothing.reshape(0, feeder.values.shape[1]), nothing.reshape(0, 1), nothing, nothing


class Losses:
    """loss.onnx: 0 for a picture that is a find."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self._session = open_session(folder / "loss.onnx", threads)

    def __call__(self, scores: Floats, label: Integers, correlation: Floats, contrast: Floats) -> Floats:
        """[R] of scores [R, L], classes [R], and likeness [R]."""
        feeds = {"scores": scores, "label": label, "correlation": correlation, "contrast": contrast}
        return np.asarray(self._session.run(["losses"], feeds)[0], np.float32)
