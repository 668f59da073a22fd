"""The wire format of protocol buffers, as far as reading an ONNX file takes (protobuf.dev, "Encoding").

The runtime has no onnx package, and only has to look at a file that ONNX Runtime will read: fields by their number,
each a number or bytes. Nothing is copied, and nothing is believed of a length before it is compared with what is there.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
# A number of 64 bits has ten groups of seven at most.
MAX_SHIFT = 63


class WireError(ValueError):
    """The bytes are not of this format."""


def fields(raw: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of the message ``raw``: number, and value: an int for a varint, else the bytes.

    Raises:
        WireError: a field is longer than what is left, or of a kind that there is not.
    """
    place, end = 0, len(raw)
    while place < end:
        key, place = _varint(raw, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(raw, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = _varint(raw, place)
        elif kind in FIXED_SIZES:
            size = FIXED_SIZES[kind]
        else:
            raise WireError(f"a field of kind {kind}")
        if size > end - place:
            raise WireError(f"a field of {size:,} bytes in {end - place:,}")
        yield number, raw[place : place + size]
        place += size


def _varint(raw: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(raw) or shift > MAX_SHIFT:
            raise WireError("a number without an end")
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
