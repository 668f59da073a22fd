"""What the tests of the journal share: records, and the bytes of a journal by struct and zlib."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np

from seedtune.runtime.journal.format import Header
from seedtune.runtime.journal.records import Record

HEADER = Header(7, 64, 1, 1, "ab" * 32, {"steps": 5, "optimizer.learning_rate": 0.02, "optimizer.kind": "normalised"})


def record_of(*groups: tuple[float, float, float]) -> Record:
    """Coefficient, loss_plus and loss_minus of each group."""
    return Record(*(np.array(numbers, np.float32) for numbers in zip(*groups, strict=True)))


RECORDS = [record_of((0.1 * k - 0.2, 0.5 + k / 4, 0.75 - k / 8)) for k in range(5)]


def expected_bytes(header: Header, records: list[Record]) -> bytes:
    """The format as documented, without a line of the code under test."""
    text = json.dumps(
        {
            "run_seed": header.run_seed,
            "state_parameters": header.state_parameters,
            "groups": header.groups,
            "records_per_step": header.records_per_step,
            "bundle_sha256": header.bundle_sha256,
            "settings": header.settings,
        },
        separators=(",", ":"),
    ).encode()
    raw = b"SEEDTUNE" + struct.pack("<II", 2, len(text)) + text
    checksum = zlib.crc32(raw)
    raw += struct.pack("<I", checksum)
    for record in records:
        numbers = [*record.coefficient, *record.loss_plus, *record.loss_minus]
        payload = struct.pack(f"<{len(numbers)}f", *numbers)
        checksum = zlib.crc32(payload, checksum)
        raw += payload + struct.pack("<I", checksum)
    return raw


def start_of_records(raw: bytes) -> int:
    return 20 + struct.unpack_from("<I", raw, 12)[0]
