"""What an ONNX file wants of an image, read from the file: the one input, its order of axes, and where scores are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from seedtune.runtime.errors import SeedTuneError

Order = Literal["channels first", "channels last", "flat"]
# Of a picture; more would be another kind of array.
MOST_CHANNELS = 4
KINDS = {ir.DataType.FLOAT: "float32", ir.DataType.UINT8: "uint8"}
# Metadata of ONNX itself (onnx/docs/MetadataProps.md, "Image Category Definition").
RANGE_PROPERTY = "Image.NominalPixelRange"
BYTES_RANGE = "NominalRange_0_255"
# Which output has the scores of a file with several, where nobody says another.
SCORES = "logits"


@dataclass(frozen=True)
class Classifier:
    """An ONNX classifier of images.

    Attributes:
        path: of the file.
        image_input: the name of its one input.
        score_output: the name of the output [B, L] that is asked.
        order: where an image's channels stand.
        channels: C.
        height: H.
        width: W.
        kind: "float32" or "uint8".
        bytes_range: values of the input run to 255, by its type or by the file's metadata; else to 1.
    """

    path: Path
    image_input: str
    score_output: str
    order: Order
    channels: int
    height: int
    width: int
    kind: str
    bytes_range: bool

    @property
    def pixels(self) -> int:
        """P, the values of an image: C * H * W."""
        return self.channels * self.height * self.width

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, as the input has it."""
        if self.order == "flat":
            return (self.pixels,)
        if self.order == "channels first":
            return (self.channels, self.height, self.width)
        return (self.height, self.width, self.channels)


def read_classifier(path: Path, image_shape: tuple[int, int, int], scores_of: str | None = None) -> Classifier:
    """Reads the file ``path``.

    Args:
        path: an ONNX file.
        image_shape: (height, width, channels) of the images that it will be shown.
        scores_of: the name of the output with the scores; None for the only one, or of several for `SCORES`.

    Raises:
        SeedTuneError: no ONNX file, more than one input, no such output, another type, or an input that such images do
            not fit into.
    """
    try:
        model = ir.load(path)
    except Exception as error:
        raise SeedTuneError(
            "this is no ONNX model", file=path, value=type(error).__name__, remedy="give a .onnx file"
        ) from error
    graph = model.graph
    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    image, scores = _image(path, inputs), _scores(path, list(graph.outputs), scores_of)
    kind = KINDS.get(image.dtype) if image.dtype is not None else None
    if kind is None:
        raise SeedTuneError(
            "the classifier's input is of another type",
            file=path,
            value=f"{image.name}: {image.dtype}",
            rule="float32 or uint8",
            remedy="export it with such an input",
        )
    if scores.shape is not None and len(scores.shape) != 2:
        raise SeedTuneError(
            "the classifier's output is not a row of scores an image",
            file=path,
            value=f"{scores.name}: {scores.shape}",
            rule="[images, classes]",
            remedy="give a classifier; a detector or a segmenter has no such output",
        )
    order = _order(path, image, image_shape)
    height, width, channels = image_shape
    assert image.name is not None
    assert scores.name is not None
    in_bytes = kind == "uint8" or model.metadata_props.get(RANGE_PROPERTY) == BYTES_RANGE
    return Classifier(path, image.name, scores.name, order, channels, height, width, kind, in_bytes)


def _image(path: Path, inputs: list[ir.Value]) -> ir.Value:
    if len(inputs) != 1:
        raise SeedTuneError(
            f"the classifier has {len(inputs)} inputs",
            file=path,
            value=", ".join(str(value.name) for value in inputs),
            rule="one input: an image",
            remedy="export it with that one alone",
        )
    return inputs[0]


def _scores(path: Path, outputs: list[ir.Value], name: str | None) -> ir.Value:
    if name is None and len(outputs) == 1:
        return outputs[0]
    for value in outputs:
        if value.name == (name or SCORES):
            return value
    raise SeedTuneError(
        f"the classifier has no output {name}" if name else f"the classifier has {len(outputs)} outputs",
        file=path,
        value=", ".join(str(value.name) for value in outputs),
        rule=f"one output, or one called {SCORES}: a score a class",
        remedy="say with --scores which one has them",
    )


def _order(path: Path, image: ir.Value, image_shape: tuple[int, int, int]) -> Order:
    """How images of ``image_shape`` go into ``image``; a free dimension takes what comes."""
    height, width, channels = image_shape
    if channels > MOST_CHANNELS:
        raise SeedTuneError("these are no images", value=f"{channels} channels", rule=f"1 to {MOST_CHANNELS}")
    orders: dict[Order, tuple[int, ...]] = {
        "channels first": (channels, height, width),
        "channels last": (height, width, channels),
        "flat": (height * width * channels,),
    }
    wanted = None if image.shape is None else list(image.shape)[1:]
    for order, sizes in orders.items():
        if wanted is None:
            return order
        if len(sizes) == len(wanted) and all(
            not isinstance(want, int) or want == size for want, size in zip(wanted, sizes, strict=True)
        ):
            return order
    raise SeedTuneError(
        "the images do not fit into the classifier's input",
        file=path,
        value=f"images of {height} x {width} with {channels} channels",
        rule=f"{image.name}: {image.shape}",
        remedy="give images of that size; the first dimension is that of images",
    )
