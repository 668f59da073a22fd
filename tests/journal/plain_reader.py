"""A second reader of journals, in plain numpy and Python, written after docs/reference/journal.md and nothing else.

It shares no line with the runtime: bytes, checksums, seeds, noise and every rule of a replay are its own. Tests hold
the runtime against it, and whoever writes a reader in another language can begin here.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

WORD = 0xFFFFFFFF


@dataclass
class PlainJournal:
    """The header, and of each record its coefficient, loss_plus and loss_minus, [R, 3] float32."""

    header: dict[str, Any]
    records: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.records) // self.header["records_per_step"]


def read(raw: bytes) -> PlainJournal:
    """The journal of probes of one group in ``raw``; raises ValueError where a checksum does not follow."""
    magic, version, length = struct.unpack_from("<8sII", raw)
    if magic != b"SEEDTUNE" or version != 2:
        raise ValueError("no journal of version 2")
    end = 16 + length
    checksum = zlib.crc32(raw[:end])
    if struct.unpack_from("<I", raw, end)[0] != checksum:
        raise ValueError("header")
    header = json.loads(raw[16:end])
    if header.get("record", "probe") != "probe" or header["groups"] != 1:
        raise ValueError("not a journal of probes of one group")
    count = (len(raw) - end - 4) // 16
    count -= count % header["records_per_step"]
    records = np.zeros((count, 3), np.float32)
    for r in range(count):
        place = end + 4 + 16 * r
        checksum = zlib.crc32(raw[place : place + 12], checksum)
        *numbers, stored = struct.unpack_from("<fffI", raw, place)
        if stored != checksum:
            raise ValueError(f"record {r}")
        records[r] = numbers
    return PlainJournal(header, records)


def replay(journal: PlainJournal, steps: int, start: np.ndarray | None = None, offset: int = 0) -> np.ndarray:
    """The state after ``steps`` steps, [n] float32, from zero, or with ``start`` at ``offset``."""
    header, settings = journal.header, journal.header["settings"]
    state = np.zeros(header["state_parameters"], np.float32)
    if start is not None:
        state[offset : offset + len(start)] = start
    velocity = np.zeros_like(state)
    each = header["records_per_step"]
    tail = max(1, int(settings.get("optimizer.average", 0) * settings.get("steps", 0)))
    first_averaged = settings.get("steps", 0) - tail if settings.get("optimizer.average", 0) else None
    mean, averaged = np.zeros_like(state), 0
    for r in range(steps * each):
        move = np.float32(journal.records[r, 0]) * signs(derive_seed(header["run_seed"], "probe", r), len(state))
        if settings["optimizer.kind"] == "momentum":
            velocity = np.float32(settings["optimizer.momentum"]) * velocity + move
            state = state + velocity
        else:
            state = state + move
        if (r + 1) % each == 0 and first_averaged is not None and r // each >= first_averaged:
            averaged += 1
            mean = mean + (state - mean) * (np.float32(1) / np.float32(averaged))
    return mean if averaged else state


def signs(seed: int, count: int) -> np.ndarray:
    """Noise of ``seed``, [count] float32: bit i % 32 of word i // 32, 1 for +1."""
    places = np.arange(count)
    words = np.array([word(seed, int(i)) for i in range(-(-count // 32))], np.uint64)
    bits = words[places // 32] >> (places % 32).astype(np.uint64) & np.uint64(1)
    return np.where(bits == 1, 1, -1).astype(np.float32)


def word(seed: int, place: int) -> int:
    return _mix((_mix(place ^ seed) + seed * 0x9E3779B1) & WORD)


def derive_seed(seed: int, purpose: str, counter: int) -> int:
    tag = 0x811C9DC5
    for byte in purpose.encode("ascii"):
        tag = (tag ^ byte) * 0x01000193 & WORD
    return _mix(_mix((counter + seed * 0x9E3779B1) & WORD) ^ tag)


def _mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D & WORD
    x ^= x >> 15
    x = x * 0x846CA68B & WORD
    return x ^ (x >> 16)
