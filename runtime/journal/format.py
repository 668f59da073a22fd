"""The bytes of a journal, format version 1. All numbers little-endian.

    offset  size  what
    0       8     magic "SEEDTUNE"
    8       4     format version (uint32) = 1
    12      4     length h of the header (uint32)
    16      h     header, UTF-8 JSON, see :class:`Header`
    16+h    4     CRC-32 of everything before it
    20+h    16*k  k records: coefficient, loss_plus, loss_minus (float32 each), checksum (uint32)

A record's checksum is the CRC-32 of its first 12 bytes, started from the checksum before it (the first one from the
header's), so a record cannot be changed, dropped or moved unnoticed. The seed of record k is not stored: it is
``derive_seed(run_seed, "probe", k)``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import derive_seed

MAGIC = b"SEEDTUNE"
VERSION = 1
PREFIX = struct.Struct("<8sII")
PAYLOAD = struct.Struct("<fff")
CHECKSUM = struct.Struct("<I")
RECORD_BYTES = PAYLOAD.size + CHECKSUM.size
RECORD_TYPE = np.dtype([("coefficient", "<f4"), ("loss_plus", "<f4"), ("loss_minus", "<f4"), ("checksum", "<u4")])
MAX_HEADER_BYTES = 1 << 20


class Header(msgspec.Struct, frozen=True):
    """What a journal needs to be replayed, and the settings it came from (names and values as in run.json)."""

    run_seed: int
    state_parameters: int
    bundle_sha256: str
    settings: dict[str, int | float | str | None]


@dataclass(frozen=True)
class Record:
    """One step."""

    coefficient: float
    loss_plus: float
    loss_minus: float


@dataclass(frozen=True)
class Journal:
    """A journal as read.

    Attributes:
        header: its header.
        records: [k] of RECORD_TYPE.
        checksum: of the last record, or of the header.
        whole_bytes: length of the file up to the last whole record.
        torn_bytes: bytes of a record that a kill cut short.
    """

    header: Header
    records: npt.NDArray[np.void]
    checksum: int
    whole_bytes: int
    torn_bytes: int

    def __len__(self) -> int:
        return len(self.records)

    def seeds(self) -> npt.NDArray[np.uint32]:
        """The noise seed of each record, [k]."""
        return np.array([probe_seed(self.header.run_seed, k) for k in range(len(self))], np.uint32)


def probe_seed(run_seed: int, step: int) -> int:
    """The noise seed of step ``step`` (0-based)."""
    return derive_seed(run_seed, "probe", step)


def encode_header(header: Header) -> bytes:
    """Magic, version, length, JSON and CRC."""
    text = msgspec.json.encode(header)
    body = PREFIX.pack(MAGIC, VERSION, len(text)) + text
    return body + CHECKSUM.pack(zlib.crc32(body))


def encode_record(record: Record, previous: int) -> tuple[bytes, int]:
    """The 16 bytes of ``record`` and their checksum, chained to ``previous``."""
    payload = PAYLOAD.pack(record.coefficient, record.loss_plus, record.loss_minus)
    checksum = zlib.crc32(payload, previous)
    return payload + CHECKSUM.pack(checksum), checksum


def decode(raw: bytes, path: str) -> Journal:
    """Parses and verifies a journal.

    Raises:
        SeedTuneError: not a journal, a newer version, a damaged header, or a record whose checksum does not follow.
    """
    if len(raw) < PREFIX.size or raw[: len(MAGIC)] != MAGIC:
        raise SeedTuneError(
            "this is not a journal",
            file=path,
            value=raw[: len(MAGIC)],
            rule=f"a file that starts with {MAGIC!r}",
        )
    _, version, length = PREFIX.unpack_from(raw)
    if version != VERSION:
        raise SeedTuneError(
            "the journal has a format that this version does not read",
            file=path,
            value=version,
            rule=f"version {VERSION}",
            remedy="upgrade seedtune",
        )
    body = PREFIX.size + length
    start = body + CHECKSUM.size
    if length > MAX_HEADER_BYTES or len(raw) < start:
        raise SeedTuneError(
            "the journal's header is cut short", file=path, value=f"{len(raw)} bytes", rule=f">= {start}"
        )
    (checksum,) = CHECKSUM.unpack_from(raw, body)
    if zlib.crc32(raw[:body]) != checksum:
        raise SeedTuneError("the journal's header has been altered", file=path, rule="its CRC-32 matches")
    try:
        header = msgspec.json.decode(raw[PREFIX.size : body], type=Header)
    except msgspec.DecodeError as error:
        raise SeedTuneError(f"the journal's header cannot be read ({error})", file=path) from error
    count, torn = divmod(len(raw) - start, RECORD_BYTES)
    records = np.frombuffer(raw, RECORD_TYPE, count, start)
    for index, stored in enumerate(records["checksum"].tolist()):
        offset = start + index * RECORD_BYTES
        checksum = zlib.crc32(raw[offset : offset + PAYLOAD.size], checksum)
        if checksum != stored:
            raise SeedTuneError(
                f"record {index + 1} of {count} of the journal has been altered",
                file=path,
                value=f"checksum {stored:08x}",
                rule=f"checksum {checksum:08x}",
                remedy="restore the journal from a copy; the records before it are intact",
            )
    return Journal(header, records, checksum, start + count * RECORD_BYTES, torn)
