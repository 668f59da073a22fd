"""GGUF by its documentation alone: written from parts that may be any, and read plainly.

The page is "GGUF" of github.com/ggml-org/ggml. Nothing is shared with the reader under test.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SPELLINGS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
F32, F16, Q8_0 = 0, 1, 8
# Type -> (values of a block, bytes of a block), of the types that are written here.
BLOCKS = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34)}


@dataclass(frozen=True)
class Field:
    """A key with its value; of an array, ``value`` is (type, length as said, values)."""

    key: bytes
    kind: int
    value: Any


@dataclass(frozen=True)
class Described:
    """What the header says of a tensor; dimensions as stored, the fastest-moving first."""

    name: bytes
    dimensions: tuple[int, ...]
    kind: int
    offset: int


def text(raw: bytes) -> bytes:
    """A length and its bytes."""
    return struct.pack("<Q", len(raw)) + raw


def encoded_value(kind: int, value: Any) -> bytes:
    """The bytes of a value; numbers wrap at the size of their type."""
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        inner, length, values = value
        return struct.pack("<IQ", inner, length % 2**64) + b"".join(encoded_value(inner, each) for each in values)
    spelling = SPELLINGS.get(kind, "<I")
    if spelling in ("<f", "<d", "<?"):
        return struct.pack(spelling, value)
    size = struct.calcsize(spelling)
    return (int(value) % (1 << 8 * size)).to_bytes(size, "little")


def header_bytes(fields: Sequence[Field], tensors: Sequence[Described], version: int = 3) -> bytes:
    """Everything before the data, without padding."""
    raw = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(fields))
    for field in fields:
        raw += text(field.key) + struct.pack("<I", field.kind % 2**32) + encoded_value(field.kind, field.value)
    for tensor in tensors:
        raw += text(tensor.name) + struct.pack("<I", len(tensor.dimensions))
        raw += b"".join(struct.pack("<Q", length % 2**64) for length in tensor.dimensions)
        raw += struct.pack("<IQ", tensor.kind % 2**32, tensor.offset % 2**64)
    return raw


def file_bytes(fields: Sequence[Field], tensors: Sequence[Described], data: bytes) -> bytes:
    """A whole file, its data at a multiple of 32."""
    head = header_bytes(fields, tensors)
    return head + bytes(-len(head) % 32) + data


class Plain:
    """A plain reading: ``fields`` without arrays, ``arrays`` of texts, and ``tensors`` with their places."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        magic, version, tensors, fields = struct.unpack_from("<4sIQQ", raw)
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("no GGUF")
        self._at = 24
        self.fields: dict[str, Any] = {}
        self.arrays: dict[str, list[str]] = {}
        self.keys: list[str] = []
        for _ in range(fields):
            key = self._text()
            self.keys.append(key)
            kind = self._number("<I")
            if kind == ARRAY:
                self._array(key)
            else:
                self.fields[key] = self._text() if kind == STRING else self._number(SPELLINGS[kind])
        self.described = [
            Described(self._text().encode(), self._dimensions(), self._number("<I"), self._number("<Q"))
            for _ in range(tensors)
        ]
        alignment = self.fields.get("general.alignment", 32)
        self.start = -(-self._at // alignment) * alignment

    def _array(self, key: str) -> None:
        inner, length = self._number("<I"), self._number("<Q")
        if inner == STRING:
            self.arrays[key] = [self._text(errors="replace") for _ in range(length)]
        else:
            self._at += struct.calcsize(SPELLINGS[inner]) * length

    def _dimensions(self) -> tuple[int, ...]:
        return tuple(self._number("<Q") for _ in range(self._number("<I")))

    def _number(self, spelling: str) -> Any:
        (value,) = struct.unpack_from(spelling, self._raw, self._at)
        self._at += struct.calcsize(spelling)
        return value

    def _text(self, errors: str = "strict") -> str:
        length = self._number("<Q")
        raw = self._raw[self._at : self._at + length]
        if len(raw) < length:
            raise ValueError("cut short")
        self._at += length
        return raw.decode("utf-8", errors)
