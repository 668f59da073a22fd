"""Streams tensors into weights files: safetensors files whose tensors ONNX graphs point into.

A bundle has one of them, and a second one for what only contexts are computed with, if that is to stay at the desk.
The header is written first, from names, types and shapes alone, so tensors may arrive in any order, one at a time. It
is padded with spaces (which the safetensors format allows) so that the data starts on a page of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.storage.encodings import Encoding, require_finite
from seedtune.runtime.errors import SeedTuneError

PAGE_BYTES = 4096
SAFETENSORS_NAMES = {
    ir.DataType.FLOAT: "F32",
    ir.DataType.FLOAT16: "F16",
    ir.DataType.BFLOAT16: "BF16",
    ir.DataType.INT8: "I8",
    # The format has no 4-bit type: two values a byte along the last axis.
    ir.DataType.INT4: "U8",
    ir.DataType.INT64: "I64",
    ir.DataType.INT32: "I32",
    ir.DataType.BOOL: "BOOL",
}


@dataclass(frozen=True)
class Placed:
    """Where a tensor lies: dtype, shape, and the byte offset from the start of the file."""

    dtype: ir.DataType
    shape: tuple[int, ...]
    offset: int

    @property
    def size_bytes(self) -> int:
        """Length of the tensor in the file."""
        return int(np.prod(self.shape, dtype=np.int64) * self.dtype.itemsize)


class WeightsFile:
    """The plan of a weights file, and the writer that fills it."""

    def __init__(
        self,
        path: Path,
        needed: Mapping[str, tuple[ir.DataType, tuple[int, ...]]],
        encodings: Mapping[str, Encoding] | None = None,
        first: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.encodings = dict(encodings or {})
        # Of the first ones, those that fill whole pages start on a page and lie in the order in which they are read.
        streamed = [name for name in dict.fromkeys(first) if name in needed]
        paged = [name for name in streamed if Placed(*needed[name], 0).size_bytes % PAGE_BYTES == 0]
        # Then wide types first, so that every tensor starts at a multiple of its own item size.
        names = paged + sorted(needed.keys() - set(paged), key=lambda name: (-needed[name][0].itemsize, name))
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        start, spans = 0, {}
        for name in names:
            dtype, shape = needed[name]
            if dtype not in SAFETENSORS_NAMES:
                raise SeedTuneError("a parameter has a type that cannot be stored", value=f"{name}: {dtype}")
            end = start + Placed(dtype, shape, 0).size_bytes
            packed = dtype == ir.DataType.INT4
            header[name] = {
                "dtype": SAFETENSORS_NAMES[dtype],
                "shape": [*shape[:-1], shape[-1] // 2] if packed else list(shape),
                "data_offsets": [start, end],
            }
            spans[name] = start
            start = end
        text = json.dumps(header, separators=(",", ":")).encode()
        data_start = -(-(8 + len(text)) // PAGE_BYTES) * PAGE_BYTES
        self.header = (data_start - 8).to_bytes(8, "little") + text.ljust(data_start - 8)
        self.placed = {name: Placed(*needed[name], data_start + spans[name]) for name in names}
        self.total_bytes = data_start + start

    def external_tensors(self) -> dict[str, ir.ExternalTensor]:
        """Name -> reference that an ONNX graph beside the file stores instead of the values."""
        return {
            name: ir.ExternalTensor(
                self.path.name,
                place.offset,
                place.size_bytes,
                place.dtype,
                shape=ir.Shape(place.shape),
                name=name,
                base_dir=self.path.parent,
            )
            for name, place in self.placed.items()
        }

    def parts(self, name: str, tensor: torch.Tensor | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """What is stored of ``tensor``: the name of each part, and its values.

        Raises:
            SeedTuneError: it has another shape than planned, or holds values that its storage type cannot.
        """
        encoding = self.encodings.get(name)
        if encoding is None:
            yield name, _stored(name, tensor, self.placed[name])
            return
        first, second = self.placed[name].shape
        _require_shape(name, tensor, (second, first) if encoding.transposed else (first, second))
        for suffix, array in encoding.encode(name, tensor):
            yield name + suffix, array


def weights_files(
    places: Mapping[str, Path],
    needed: Mapping[str, tuple[ir.DataType, tuple[int, ...]]],
    apart: Set[str],
    encodings: Mapping[str, Encoding],
    first: Sequence[str],
) -> list[WeightsFile]:
    """One file of all tensors, or what is to lie ``apart`` in a second one.

    Args:
        places: the two files, by name; the one for ``apart`` is the second.
        needed: parameter -> type and shape.
        apart: those of the second file; none makes one file.
        encodings: parameter -> how it is stored.
        first: parameters in the order in which they are read.
    """
    shares = zip(places.values(), (needed.keys() - apart, apart), strict=True)
    return [
        WeightsFile(path, {key: needed[key] for key in sorted(share)}, encodings, first)
        for path, share in shares
        if share
    ]


def write_weights(files: Sequence[WeightsFile], tensors: Iterable[tuple[str, torch.Tensor | np.ndarray]]) -> int:
    """Writes every planned tensor found in ``tensors``, which are read once for all ``files``; ignores the others.

    Returns:
        The parameters written.

    Raises:
        SeedTuneError: a tensor is missing, has another shape, or holds values that its storage type cannot.
    """
    missing = {name for weights in files for name in weights.placed}
    count = 0
    with contextlib.ExitStack() as stack:
        opened = [(weights, stack.enter_context(weights.path.open("wb"))) for weights in files]
        for weights, file in opened:
            file.write(weights.header)
            file.truncate(weights.total_bytes)
        for name, tensor in tensors:
            if name not in missing:
                continue
            count += tensor.numel() if isinstance(tensor, torch.Tensor) else tensor.size
            for weights, file in opened:
                for part, array in weights.parts(name, tensor) if name in weights.placed else ():
                    file.seek(weights.placed[part].offset)
                    file.write(array.data)
                    missing.discard(part)
        for _, file in opened:
            file.flush()
            os.fsync(file.fileno())
    if missing:
        raise SeedTuneError(
            f"the checkpoint lacks {len(missing)} of the tensors that the model reads",
            value=", ".join(sorted(missing)[:5]),
            rule="every parameter of the architecture has values in the checkpoint",
            remedy="take a complete checkpoint with its language-model head",
        )
    return count


def _require_shape(name: str, tensor: torch.Tensor | np.ndarray, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise SeedTuneError(
            f"the tensor {name} does not have the shape that the configuration implies",
            value=tuple(tensor.shape),
            rule=f"{shape}",
            remedy="use the config.json that belongs to this checkpoint",
        )


def _stored(name: str, tensor: torch.Tensor | np.ndarray, place: Placed) -> np.ndarray:
    """``tensor`` in its storage type, contiguous; checked."""
    if isinstance(tensor, torch.Tensor):
        tensor = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().contiguous().numpy()
    _require_shape(name, tensor, place.shape)
    if np.issubdtype(tensor.dtype, np.floating):
        require_finite(name, float(np.abs(tensor).max(initial=0)))
    return np.ascontiguousarray(tensor, dtype=place.dtype.numpy())
