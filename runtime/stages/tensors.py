"""Where the tensors of a weights file lie, from its header (github.com/huggingface/safetensors, "Format")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from seedtune.runtime.decoding import decoded
from seedtune.runtime.errors import SeedTuneError

# safetensors type -> the number of its element type in ONNX (onnx.proto, TensorProto.DataType), and bytes an element.
ELEMENT_TYPES = {
    "F32": (1, 4),
    "U8": (2, 1),
    "I8": (3, 1),
    "I32": (6, 4),
    "I64": (7, 8),
    "BOOL": (9, 1),
    "F16": (10, 2),
    "BF16": (16, 2),
}
INT4 = 22
MAX_HEADER_BYTES = 100 << 20
DAMAGED = "the weights file has a damaged header"
REMEDY = "copy or export the bundle again"


@dataclass(frozen=True)
class Tensor:
    """``element_type`` as ONNX numbers it, shape in elements, and the bytes ``offset`` to ``offset + size_bytes``.

    ``path`` is the file that they lie in.
    """

    path: Path
    element_type: int
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


def read_header(path: Path, packed: frozenset[str] = frozenset()) -> dict[str, Tensor]:
    """Name -> place of every tensor of the safetensors file at ``path``.

    Args:
        path: the file.
        packed: the tensors that hold two 4-bit integers a byte along their last axis.

    Raises:
        SeedTuneError: the header is damaged, or a tensor lies outside the file.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER_BYTES, file_bytes):
            raise _damaged(path, f"a header of {length:,} bytes")
        raw = file.read(length)
    rule = "a safetensors file as seedtune export writes it"
    header = decoded(raw, dict[str, msgspec.Raw], path, DAMAGED, rule, REMEDY)
    header.pop("__metadata__", None)
    return {
        name: _tensor(
            name,
            decoded(bytes(entry), _Entry, path, DAMAGED, rule, REMEDY),
            8 + length,
            path,
            file_bytes,
            name in packed,
        )
        for name, entry in header.items()
    }


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[Annotated[int, Meta(ge=0)], ...]
    data_offsets: tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)]]


def _tensor(name: str, entry: _Entry, start: int, path: Path, file_bytes: int, packed: bool) -> Tensor:
    if entry.dtype not in ELEMENT_TYPES:
        raise _damaged(path, f"{name} has the type {entry.dtype}")
    element_type, element_bytes = ELEMENT_TYPES[entry.dtype]
    first, end = entry.data_offsets
    shape, size = entry.shape, element_bytes * math.prod(entry.shape)
    if end - first != size or start + end > file_bytes:
        raise _damaged(path, f"{name} does not fit: bytes {first} to {end}")
    if packed:
        if entry.dtype != "U8" or not shape:
            raise _damaged(path, f"{name} is to hold two values a byte: {entry.dtype} {list(shape)}")
        element_type, shape = INT4, (*shape[:-1], 2 * shape[-1])
    return Tensor(path, element_type, shape, start + first, size)


def _damaged(path: Path, reason: str) -> SeedTuneError:
    return SeedTuneError(f"{DAMAGED} ({reason})", file=path, remedy=REMEDY)
