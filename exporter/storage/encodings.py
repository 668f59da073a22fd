"""How the values of a matrix are stored: in half the bits of float32, an eighth, or as they are.

A matrix W [o, i] has an output channel per row. Encodings (`Encoding.kind`)::

    fp16, bf16   W rounded to the type
    int8         q = round(W / s), s [o] float32 = max|W| of the channel / 127
    int4         q = round(W / s) in -8..7, s [o, i / 32] float16, one per block of 32 neighbouring inputs; the value
                 of largest size in a block is -8 s (the rule of GGUF's Q4_0)

Channel and block scales keep an outlier to its own channel or block. A stored int8 matrix that a layer multiplies with
lies as [i, o], the way ONNX Runtime's integer product reads it; one that is looked up by row stays [o, i].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx_ir as ir
import torch

from seedtune.runtime.errors import SeedTuneError

Kind = Literal["fp16", "bf16", "int8", "int4"]
SCALE = ".scale"
INT4_BLOCK = 32
INT8_MAXIMUM = 127
HALF_MAXIMUM = 65504.0
# Values converted at a time, so that no float32 copy of an embedding table is made.
CHUNK_VALUES = 1 << 22
TYPES = {
    "fp16": ir.DataType.FLOAT16,
    "bf16": ir.DataType.BFLOAT16,
    "int8": ir.DataType.INT8,
    "int4": ir.DataType.INT4,
}
# Below this a channel is nothing but rounding; a scale of 0 would divide by it.
SMALLEST_SCALE = {"int8": np.float32(1e-30), "int4": np.float32(2.0**-24)}


@dataclass(frozen=True)
class Encoding:
    """How one parameter is stored.

    Attributes:
        kind: see the module docstring.
        channel_axis: the axis of the checkpoint's matrix along which the output channels run.
        transposed: stored with its axes exchanged.
    """

    kind: Kind
    channel_axis: int = 0
    transposed: bool = False

    def parts(self, shape: tuple[int, int]) -> dict[str, tuple[ir.DataType, tuple[int, ...]]]:
        """Suffix of the name -> type and shape of every stored tensor of a parameter of the shape ``shape``."""
        stored = (shape[1], shape[0]) if self.transposed else shape
        parts: dict[str, tuple[ir.DataType, tuple[int, ...]]] = {"": (TYPES[self.kind], stored)}
        if self.kind == "int8":
            parts[SCALE] = (ir.DataType.FLOAT, (shape[self.channel_axis],))
        if self.kind == "int4":
            parts[SCALE] = (ir.DataType.FLOAT16, (shape[0], shape[1] // INT4_BLOCK))
        return parts

    def encode(self, name: str, matrix: torch.Tensor | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Suffix of the name and bytes of each stored tensor, as arrays that are contiguous.

        bf16 comes as uint16, int4 as uint8 with the earlier of two values in the lower half.

        Raises:
            SeedTuneError: a value is not finite, or does not fit fp16.
        """
        if self.kind in ("fp16", "bf16"):
            yield "", _rounded(name, matrix, self.kind)
        elif self.kind == "int8":
            yield from self._int8(name, matrix)
        else:
            yield from _int4(name, matrix)

    def _int8(self, name: str, matrix: torch.Tensor | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        # Channels first while working; what is stored is transposed at most once.
        rows = matrix if self.channel_axis == 0 else matrix.T
        channels, width = rows.shape
        across = self.transposed != (self.channel_axis == 1)
        codes = np.empty((width, channels) if across else (channels, width), np.int8)
        scales = np.empty(channels, np.float32)
        for start, block in _chunks(rows):
            require_finite(name, float(np.abs(block).max(initial=0)))
            scale = np.maximum(np.abs(block).max(axis=1) / INT8_MAXIMUM, SMALLEST_SCALE["int8"])
            found = np.rint(block / scale[:, None]).astype(np.int8)
            scales[start : start + len(block)] = scale
            if across:
                codes[:, start : start + len(block)] = found.T
            else:
                codes[start : start + len(block)] = found
        yield "", codes
        yield SCALE, scales


def decoded(encoding: Encoding, matrix: torch.Tensor | np.ndarray) -> np.ndarray:
    """The float32 matrix that the stored form of ``matrix`` stands for, in the checkpoint's layout.

    The plain definition, for checks and tests: it holds a copy of the matrix beside its codes.
    """
    # In which order the codes lie makes no difference to them, and transposing takes time.
    encoding = replace(encoding, transposed=False)
    parts = dict(encoding.encode("", matrix))
    codes = parts[""]
    if encoding.kind == "fp16":
        return codes.astype(np.float32)
    if encoding.kind == "bf16":
        return (codes.astype(np.uint32) << 16).view(np.float32)
    if encoding.kind == "int4":
        halves = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(codes), -1, INT4_BLOCK)
        values = (((halves.astype(np.int8) ^ 8) - 8) * parts[SCALE].astype(np.float32)[:, :, None]).astype(np.float32)
        return values.reshape(len(codes), -1)
    values = codes.astype(np.float32)
    values *= parts[SCALE][:, None] if encoding.channel_axis == 0 else parts[SCALE]
    return values


def require_finite(name: str, largest: float) -> None:
    """Raises SeedTuneError when the largest absolute value of the tensor ``name`` is infinite or no number."""
    if not math.isfinite(largest):
        raise SeedTuneError(
            f"the tensor {name} holds values that are not finite",
            value=largest,
            rule="finite weights",
            remedy="download the checkpoint again, or take another one",
        )


def _rounded(name: str, matrix: torch.Tensor | np.ndarray, kind: Kind) -> np.ndarray:
    tensor = torch.from_numpy(matrix) if isinstance(matrix, np.ndarray) else matrix
    tensor = tensor.detach()
    low, high = torch.aminmax(tensor)
    # A NaN is the least and the greatest value alike.
    largest = float(torch.maximum(-low, high))
    require_finite(name, largest)
    if kind == "bf16":
        return tensor.to(torch.bfloat16).contiguous().view(torch.int16).numpy().view(np.uint16)
    if largest > HALF_MAXIMUM:
        raise SeedTuneError(
            f"the tensor {name} does not fit half precision",
            value=largest,
            rule=f"absolute values up to {HALF_MAXIMUM:.0f}",
            remedy="export with --storage bf16 or fp32",
        )
    return tensor.to(torch.float16).contiguous().numpy()


def _int4(name: str, matrix: torch.Tensor | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    channels, width = matrix.shape
    codes = np.empty((channels, width // 2), np.uint8)
    scales = np.empty((channels, width // INT4_BLOCK), np.float16)
    for start, chunk in _chunks(matrix):
        blocks = chunk.reshape(len(chunk), -1, INT4_BLOCK)
        require_finite(name, float(np.abs(chunk).max(initial=0)))
        place = np.abs(blocks).argmax(axis=2)[:, :, None]
        extreme = np.take_along_axis(blocks, place, axis=2)[:, :, 0]
        scale = extreme / -8
        scale = np.where(np.abs(scale) < SMALLEST_SCALE["int4"], SMALLEST_SCALE["int4"], scale).astype(np.float16)
        found = np.clip(np.rint(blocks / scale.astype(np.float32)[:, :, None]), -8, 7).astype(np.int8)
        found = found.reshape(len(chunk), -1, 2) & 15
        codes[start : start + len(chunk)] = (found[:, :, 0] | (found[:, :, 1] << 4)).astype(np.uint8)
        scales[start : start + len(chunk)] = scale
    yield "", codes
    yield SCALE, scales


def _chunks(rows: torch.Tensor | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float32 rows) of parts of ``rows`` of at most CHUNK_VALUES values."""
    count = max(1, CHUNK_VALUES // rows.shape[1])
    for start in range(0, len(rows), count):
        part = rows[start : start + count]
        if isinstance(part, torch.Tensor):
            part = part.detach().float().numpy()
        yield start, np.ascontiguousarray(part, dtype=np.float32)
