"""Where the tensors of a weights file lie, from its header (github.com/huggingface/safetensors, "Format")."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Tensor:
    """``element_type`` as ONNX numbers it, shape in elements, and the bytes ``offset`` to ``offset + size_bytes``."""

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
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length:,} bytes")
            header = json.loads(file.read(length))
        return {
            name: _tensor(name, entry, 8 + length, path.stat().st_size, name in packed)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeedTuneError(
            f"the weights file has a damaged header ({error})", file=path, remedy="copy or export the bundle again"
        ) from error


def _tensor(name: str, entry: dict[str, object], start: int, file_bytes: int, packed: bool) -> Tensor:
    element_type, element_bytes = ELEMENT_TYPES[str(entry["dtype"])]
    shape = tuple(int(size) for size in entry["shape"])  # type: ignore[attr-defined]
    first, end = (int(offset) for offset in entry["data_offsets"])  # type: ignore[attr-defined]
    size = element_bytes
    for dimension in shape:
        size *= dimension
    if end - first != size or first < 0 or start + end > file_bytes:
        raise ValueError(f"{name} does not fit: bytes {first} to {end}")
    if packed:
        element_type, shape = INT4, (*shape[:-1], 2 * shape[-1])
    return Tensor(element_type, shape, start + first, size)
