"""The user's own classifier: opened as it is served elsewhere, asked for scores, and its answers counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import default_threads
from seedtune.runtime.graphs.types import Array

Floats = npt.NDArray[np.float32]


def open_classifier(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session over the user's own classifier, with ONNX Runtime's own settings, as it is served elsewhere.

    Raises:
        SeedTuneError: ONNX Runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SeedTuneError(
            "ONNX Runtime cannot open this classifier",
            file=path,
            value=str(error).splitlines()[0] if str(error) else type(error).__name__,
            rule=f"a model that ONNX Runtime {onnxruntime.__version__} runs on the CPU",
            remedy="export it again",
        ) from error


class Answers:
    """What the classifier says to pictures.

    Args:
        session: over it.
        image_input: the name of its input.
        score_output: the name of the output with its scores.
        path: its file, for errors.
    """

    def __init__(self, session: onnxruntime.InferenceSession, image_input: str, score_output: str, path: Path) -> None:
        self._session, self._image_input, self._path = session, image_input, path
        self._outputs = [score_output]
        self.queries = 0

    def __call__(self, pictures: Array) -> Floats:
        """Scores [R, L] of ``pictures`` [R, ...] in its own units.

        Raises:
            SeedTuneError: it cannot compute them, as where its number of images is fixed.
        """
        try:
            (scores,) = self._session.run(self._outputs, {self._image_input: pictures})
        except Exception as error:
            raise SeedTuneError(
                "the classifier cannot compute these images",
                file=self._path,
                value=str(error).splitlines()[0][:300],
                rule="any number of images at once",
                remedy="export it with a free first dimension",
            ) from error
        self.queries += len(pictures)
        if scores.ndim != 2 or len(scores) != len(pictures):
            raise SeedTuneError(
                "the classifier's output is not a row of scores an image",
                file=self._path,
                value=str(scores.shape),
                rule="[images, classes]",
            )
        if not np.isfinite(scores).all():
            raise SeedTuneError("the classifier gives scores that are no numbers", file=self._path)
        return np.asarray(scores, np.float32)
