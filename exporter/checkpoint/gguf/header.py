"""The header of a GGUF file: its texts and numbers, and where each tensor lies.

gguf's own GGUFReader makes several numpy arrays for every token of the vocabulary (3.5 s and 130 MB for
SmolLM2); this steps over arrays, which only the tokenizer needs. It reads versions 2 and 3, little-endian; a
test holds it equal to GGUFReader.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType
from gguf.quants import quant_shape_to_byte_shape

from seedtune.exporter.checkpoint.weight_files import damaged
from seedtune.runtime.decoding import require_plain_file
from seedtune.runtime.errors import SeedTuneError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
# More than any model has layers; vocabularies are longer.
SHORT = 1_024
# GGML_MAX_DIMS
MAX_RANK = 4
SCALARS = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}
UNQUANTISED = {
    GGMLQuantizationType.F32: np.float32,
    GGMLQuantizationType.F16: np.float16,
    GGMLQuantizationType.F64: np.float64,
}


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of the file.

    Attributes:
        shape: of its values.
        data: read-only view of the mapped file: the values of a float type in the tensor's own shape, else
            bytes [rows..., bytes of a row], as ``gguf.dequantize`` takes them.
    """

    name: str
    tensor_type: GGMLQuantizationType
    shape: tuple[int, ...]
    data: np.ndarray


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself.

    Attributes:
        fields: scalars and texts, without the arrays.
        arrays: arrays of at most ``SHORT`` numbers; None for longer ones, and for those of texts.
    """

    fields: dict[str, object]
    arrays: dict[str, tuple[float, ...] | None]
    tensors: tuple[StoredTensor, ...]

    def text(self, key: str) -> str | None:
        """The text under ``key``, or None if there is none."""
        value = self.fields.get(key)
        return value if isinstance(value, str) else None


def read_header(path: Path) -> GgufHeader:
    """Maps the file and reads its header.

    Raises:
        SeedTuneError: if it is no GGUF of a known version, ends early, or is one part of several.
    """
    require_plain_file(path, "the model", "give the GGUF file")
    try:
        header = _Cursor(np.memmap(path, dtype=np.uint8, mode="r")).header()
    except (ValueError, struct.error, OSError, OverflowError, KeyError) as error:
        raise damaged(path, error) from error
    parts = header.fields.get("split.count")
    if isinstance(parts, int) and parts > 1:
        raise SeedTuneError(
            "the file is one part of a split GGUF",
            file=path,
            value=f"{parts} parts",
            rule="one file",
            remedy="join the parts with llama.cpp's llama-gguf-split --merge",
        )
    return header


def read_texts(path: Path, key: str) -> list[str]:
    """The array of texts under ``key``, such as "tokenizer.ggml.merges", without making the tokenizer.

    Raises:
        SeedTuneError: if the file is no GGUF of a known version, ends early, or has no such array.
    """
    require_plain_file(path, "the model", "give the GGUF file")
    try:
        return _Cursor(np.memmap(path, dtype=np.uint8, mode="r")).texts(key)
    except (ValueError, struct.error, OSError, OverflowError, KeyError) as error:
        raise damaged(path, error) from error


class _Cursor:
    """A position in the mapped file; reading past its end raises ValueError or struct.error."""

    def __init__(self, mapped: np.memmap) -> None:
        self._mapped = mapped
        self._bytes = mapped.data
        self._at = 0

    def header(self) -> GgufHeader:
        tensors, fields = self._counts()
        values: dict[str, object] = {}
        arrays: dict[str, tuple[float, ...] | None] = {}
        for _ in range(fields):
            key, kind = self._text(), GGUFValueType(self._scalar("<I"))
            if key in values or key in arrays:
                raise ValueError(f"the key {key} stands there twice")
            if kind == GGUFValueType.ARRAY:
                arrays[key] = self._array()
            else:
                values[key] = self._value(kind)
        alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
        return GgufHeader(values, arrays, self._tensors(tensors, alignment))

    def texts(self, key: str) -> list[str]:
        _, fields = self._counts()
        for _ in range(fields):
            found = self._text()
            kind = GGUFValueType(self._scalar("<I"))
            if found != key:
                self._value(kind)
                continue
            if kind != GGUFValueType.ARRAY or self._scalar("<I") != GGUFValueType.STRING:
                break
            return [self._text() for _ in range(self._scalar("<Q"))]
        raise ValueError(f"it holds no array of texts named {key}")

    def _counts(self) -> tuple[int, int]:
        """How many tensors and fields the file says it has, after its magic number and version."""
        if bytes(self._bytes[:4]) != MAGIC:
            raise ValueError(f"it begins with {bytes(self._bytes[:4])!r}, not {MAGIC!r}")
        self._at = 4
        version = self._scalar("<I")
        if version not in VERSIONS:
            raise ValueError(f"GGUF version {version} (big-endian, or too old or new); known: {VERSIONS}")
        return self._scalar("<Q"), self._scalar("<Q")

    def _tensors(self, count: int, alignment: object) -> tuple[StoredTensor, ...]:
        if not isinstance(alignment, int) or alignment <= 0:
            raise ValueError(f"alignment {alignment!r}")
        described, names = [], set()
        for _ in range(count):
            name = self._text()
            if name in names:
                raise ValueError(f"the tensor {name} stands there twice")
            names.add(name)
            rank = self._scalar("<I")
            if rank > MAX_RANK:
                raise ValueError(f"the tensor {name} has {rank} dimensions")
            # GGUF lists the fastest-moving dimension first.
            shape = tuple(reversed([self._scalar("<Q") for _ in range(rank)]))
            described.append((name, shape, GGMLQuantizationType(self._scalar("<I")), self._scalar("<Q")))
        start = -(-self._at // alignment) * alignment
        return tuple(
            StoredTensor(name, kind, shape, self._data(name, shape, kind, start + offset))
            for name, shape, kind, offset in described
        )

    def _data(self, name: str, shape: tuple[int, ...], kind: GGMLQuantizationType, offset: int) -> np.ndarray:
        if not shape:
            # quant_shape_to_byte_shape needs an axis, and a scalar is no weight.
            raise ValueError(f"the tensor {name} has no dimensions")
        if kind in UNQUANTISED:
            dtype, stored = np.dtype(UNQUANTISED[kind]), shape
        else:
            dtype, stored = np.dtype(np.uint8), tuple(quant_shape_to_byte_shape(shape, kind))
        size_bytes = dtype.itemsize
        for length in stored:
            size_bytes *= length
        if offset + size_bytes > len(self._mapped):
            raise ValueError(f"tensor {name} ends at byte {offset + size_bytes:,}")
        return self._mapped[offset : offset + size_bytes].view(dtype).reshape(stored)

    def _value(self, kind: GGUFValueType) -> object:
        """The value at the position, which moves past it."""
        if kind == GGUFValueType.STRING:
            return self._text()
        return self._array() if kind == GGUFValueType.ARRAY else self._scalar(SCALARS[kind])

    def _array(self) -> tuple[float, ...] | None:
        """The array at the position, if it is one of few numbers; the position moves past it."""
        inner, length = GGUFValueType(self._scalar("<I")), self._scalar("<Q")
        if inner in SCALARS:
            start = self._at
            self._skip(struct.calcsize(SCALARS[inner]) * length)
            if length <= SHORT:
                return struct.unpack_from(f"<{length}{SCALARS[inner][1:]}", self._bytes, start)
        elif inner == GGUFValueType.STRING:
            for _ in range(length):
                self._skip(self._scalar("<Q"))
        else:
            # Allowed by the format, used by nobody, and a way to exhaust the stack.
            raise ValueError("an array of arrays")
        return None

    def _scalar(self, spelling: str) -> Any:
        (value,) = struct.unpack_from(spelling, self._bytes, self._at)
        self._at += struct.calcsize(spelling)
        return value

    def _text(self) -> str:
        length = self._scalar("<Q")
        start = self._at
        self._skip(length)
        return bytes(self._bytes[start : self._at]).decode("utf-8")

    def _skip(self, size_bytes: int) -> None:
        if self._at + size_bytes > len(self._mapped):
            raise ValueError(f"the header ends at byte {len(self._mapped):,}")
        self._at += size_bytes
