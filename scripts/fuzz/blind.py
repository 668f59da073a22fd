"""Mutations of bytes that know nothing but, if told, where one part ends and the next begins."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

LENGTHS = (0, 1, 2, 127, 128, 255, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LONG_LENGTHS = (*LENGTHS, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 16, 2**64 - 64)
CHANGES = (1, 1, 1, 2, 3, 8)


def mutated_bytes(generator: random.Random, raw: bytes, boundaries: Sequence[int] = ()) -> bytes:
    """``raw`` with a few changes; cuts and swaps prefer the ``boundaries`` between its parts."""
    changed = bytearray(raw)
    for _ in range(generator.choice(CHANGES)):
        _change(generator, changed, boundaries)
    return bytes(changed)


def _change(generator: random.Random, raw: bytearray, boundaries: Sequence[int]) -> None:
    start, end = sorted((_place(generator, raw, boundaries), _place(generator, raw, boundaries)))
    kind = generator.randrange(10)
    if kind <= 2 and raw:
        place = generator.randrange(len(raw))
        raw[place] ^= 1 << generator.randrange(8)
    elif kind == 3:
        del raw[start:]
    elif kind == 4:
        raw[start:start] = generator.randbytes(generator.choice((1, 2, 4, 8, 16, 64, 200)))
    elif kind == 5:
        del raw[start:end]
    elif kind == 6:
        raw[start:start] = raw[start:end][: 1 << 16]
    elif kind == 7:
        raw[start:end] = bytes(end - start)
    elif kind == 8:
        spelling, values = generator.choice(
            (("<I", LENGTHS), ("<Q", LONG_LENGTHS), (">I", LENGTHS), ("<H", LENGTHS[:7]))
        )
        packed = struct.pack(spelling, generator.choice(values) % (1 << 8 * struct.calcsize(spelling)))
        raw[start : start + len(packed)] = packed
    else:
        middle = _place(generator, raw, boundaries)
        first, second, third = sorted((start, middle, end))
        raw[first:third] = raw[second:third] + raw[first:second]


def _place(generator: random.Random, raw: bytearray, boundaries: Sequence[int]) -> int:
    if boundaries and generator.random() < 0.5:
        return min(len(raw), max(0, generator.choice(boundaries) + generator.choice((-1, 0, 0, 1))))
    return generator.randint(0, len(raw))
