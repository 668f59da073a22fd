"""An ONNX classifier as a torch module of pictures, through which gradients go."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import onnx
import onnx2torch
import torch
from onnx import version_converter
from torch import nn

from seedtune.exporter.onnx_source.classifier import Classifier
from seedtune.exporter.onnx_source.scan_graphs import Normalisation
from seedtune.runtime.errors import SeedTuneError

Floats = npt.NDArray[np.float32]
# What rounding may leave between two ways to compute the same scores, of their largest value.
ALLOWED = 1e-3
# The newest version of ONNX's operators that onnx2torch knows most of.
NEWEST_OPSET = 18
REMEDY = "leave --also out, or export the classifier with other operators"


class Differentiable(nn.Module):
    """Pictures [R, C, H, W] in 0..1 -> scores [R, L], where they are probabilities their logarithms.

    Args:
        classifier: as its file describes it.
        normalisation: that stands before it.
        probabilities: whether its scores are such.

    Raises:
        SeedTuneError: it takes bytes, or has an operator that cannot be converted.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, classifier: Classifier, normalisation: Normalisation, probabilities: bool) -> None:
        super().__init__()
        if classifier.kind != "float32":
            raise SeedTuneError(
                "this classifier has no gradient: it takes whole bytes",
                file=classifier.path,
                value=classifier.kind,
                rule="an input of float32, for --also",
                remedy="leave --also out, or export the classifier with float inputs",
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = _with_one_output(onnx.load(classifier.path), classifier.score_output)
                self._net = onnx2torch.convert(_of_known_version(model)).eval()
        except Exception as error:
            raise SeedTuneError(
                "this classifier cannot be made into one with gradients",
                file=classifier.path,
                value=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                rule="operators that onnx2torch knows",
                remedy=REMEDY,
            ) from error
        self._classifier = classifier
        self._probabilities = probabilities
        for name, values, neutral in (("mean", normalisation.mean, 0), ("deviation", normalisation.deviation, 1)):
            of_channel = np.broadcast_to(np.asarray(values or neutral, np.float32), (classifier.channels,))
            self.register_buffer(name, torch.tensor(of_channel).reshape(1, -1, 1, 1))
        self.eval()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """See the class."""
        found = pictures * 255 if self._classifier.bytes_range else pictures
        found = (found - self.mean) / self.deviation
        if self._classifier.order == "channels last":
            found = found.permute(0, 2, 3, 1)
        elif self._classifier.order == "flat":
            found = found.flatten(1)
        scores: torch.Tensor = self._net(found)
        return scores.clamp_min(1e-12).log() if self._probabilities else scores

    def require_same(self, values: Floats, scores: Floats) -> None:
        """Raises SeedTuneError unless it gives the ``scores`` [R, L] of pictures ``values`` [R, P], as ONNX Runtime."""
        known = self._classifier
        with torch.no_grad():
            mine = self(torch.from_numpy(values).reshape(-1, known.channels, known.height, known.width)).numpy()
        theirs = np.log(np.maximum(scores, 1e-12)) if self._probabilities else scores
        apart, allowed = float(np.abs(mine - theirs).max()), ALLOWED * float(np.abs(theirs).max())
        if not apart <= allowed:
            raise SeedTuneError(
                "with gradients the classifier gives other scores",
                file=known.path,
                value=f"{apart:.3g} apart",
                rule=f"at most {allowed:.3g}",
                remedy=REMEDY,
            )


def _with_one_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """``model`` with the output ``name`` alone."""
    kept = [output for output in model.graph.output if output.name == name]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return model


def _of_known_version(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` in operators of `NEWEST_OPSET`, where they are newer, and without what torch's exporter adds to them.

    Most have only learned further types since. Where ONNX's own converter has no way back, the number alone is changed.
    A model to which either makes a difference gives other scores, and is refused for them.
    """
    newer = [each for each in model.opset_import if each.domain == "" and each.version > NEWEST_OPSET]
    if newer:
        try:
            model = version_converter.convert_version(model, NEWEST_OPSET)
        except RuntimeError:
            newer[0].version = NEWEST_OPSET
    for node in model.graph.node:
        # Whether a 0 in a shape is a size: shapes of pictures have none.
        for attribute in [each for each in node.attribute if (node.op_type, each.name) == ("Reshape", "allowzero")]:
            node.attribute.remove(attribute)
    return model
