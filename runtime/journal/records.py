"""One record of a journal: its numbers, its bytes, and the checksum that chains it to the record before it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

# What a record holds.
Kind = Literal["probe", "gradient"]
CHECKSUM = struct.Struct("<I")
SHA256_BYTES = 32

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Record:
    """One probe of a step: float32 arrays over the G groups."""

    coefficient: Floats
    loss_plus: Floats
    loss_minus: Floats

    @property
    def payload(self) -> bytes:
        """Its bytes in the file, but for the checksum."""
        return np.concatenate([self.coefficient, self.loss_plus, self.loss_minus]).astype("<f4").tobytes()


@dataclass(frozen=True)
class GradientRecord:
    """A step along a gradient: mean loss of its rows before it, learning rate, SHA-256 of the state after it."""

    loss: float
    learning_rate: float
    state_sha256: bytes

    @property
    def payload(self) -> bytes:
        """Its bytes in the file, but for the checksum."""
        return np.array([self.loss, self.learning_rate], "<f4").tobytes() + self.state_sha256


def record_type(groups: int, kind: Kind = "probe") -> np.dtype[np.void]:
    """The type of a record of ``groups`` groups."""
    if kind == "gradient":
        fields = [("loss", "<f4"), ("learning_rate", "<f4"), ("state_sha256", f"V{SHA256_BYTES}")]
        return np.dtype([*fields, ("checksum", "<u4")])
    numbers = [(name, "<f4", (groups,)) for name in ("coefficient", "loss_plus", "loss_minus")]
    return np.dtype([*numbers, ("checksum", "<u4")])


def encode_record(record: Record | GradientRecord, previous: int) -> tuple[bytes, int]:
    """The bytes of ``record`` and their checksum, chained to ``previous``."""
    checksum = zlib.crc32(record.payload, previous)
    return record.payload + CHECKSUM.pack(checksum), checksum
