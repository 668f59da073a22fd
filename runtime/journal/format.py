"""The bytes of a journal, format version 2. All numbers little-endian.

    offset  size  what
    0       8     magic "SEEDTUNE"
    8       4     format version (uint32) = 2
    12      4     length h of the header (uint32)
    16      h     header, UTF-8 JSON, see :class:`Header`
    16+h    4     CRC-32 of everything before it
    then records, K a step, of what the header's ``record`` says:
      "probe"     12 G + 4 bytes: coefficient [G], loss_plus [G], loss_minus [G] (float32 each), checksum (uint32)
      "gradient"  44 bytes: loss, learning_rate (float32 each), SHA-256 of the state after the step, checksum (uint32)

A record's checksum is the CRC-32 of what stands before it in the record, started from the checksum before it (the
first one from the header's), so a record cannot be changed, dropped or moved unnoticed. The seed of probe r is not
stored: it is ``derive_seed(run_seed, "probe", r)``. A step of which records are missing at the end does not count.
Probes replay the state; records of gradients only prove it.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.decoding import decoded
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.records import CHECKSUM, Kind, record_type
from seedtune.runtime.noise import derive_seed

MAGIC = b"SEEDTUNE"
VERSION = 2
PREFIX = struct.Struct("<8sII")
MAX_HEADER_BYTES = 1 << 20
MAX_GROUPS = 1 << 20
MAX_RECORDS_PER_STEP = 1 << 16
# Field of the header -> the most that it may be; the least is 1, and 0 for a seed.
MOST = {
    "run_seed": 2**32 - 1,
    "state_parameters": 2**31 - 1,
    "groups": MAX_GROUPS,
    "records_per_step": MAX_RECORDS_PER_STEP,
}
RESTORE = "restore the journal from a copy, or start a new run"


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a journal needs to be replayed, and the settings it came from (names and values as in run.json).

    Attributes:
        run_seed: the seed of everything.
        state_parameters: n.
        groups: G; 1 for a model, the number of rows where there is a state a row.
        records_per_step: K.
        bundle_sha256: of the manifest.
        settings: of the run, flat.
        record: what a record holds; left out of the file where it is a probe.
        start_sha256: of the file that the state starts from; None, and then left out of the file, for zero.
    """

    run_seed: int
    state_parameters: int
    groups: int
    records_per_step: int
    bundle_sha256: str
    settings: dict[str, int | float | str | None]
    record: Kind = "probe"
    start_sha256: str | None = None


@dataclass(frozen=True)
class Journal:
    """A journal as read.

    Attributes:
        header: its header.
        records: [R] of `record_type`, R a multiple of K.
        start_checksum: of the header.
        whole_bytes: length of the file up to the last whole step.
        torn_bytes: bytes of a step that a kill cut short.
    """

    header: Header
    records: npt.NDArray[np.void]
    start_checksum: int
    whole_bytes: int
    torn_bytes: int

    @property
    def checksum(self) -> int:
        """Of the last record, or of the header."""
        return int(self.records["checksum"][-1]) if len(self.records) else self.start_checksum

    def until(self, steps: int) -> Journal:
        """As it was after ``steps`` steps; what came behind them counts as torn."""
        count = steps * self.header.records_per_step
        dropped = self.records[count:].nbytes
        whole, torn = self.whole_bytes - dropped, self.torn_bytes + dropped
        return dataclasses.replace(self, records=self.records[:count], whole_bytes=whole, torn_bytes=torn)

    @property
    def steps(self) -> int:
        """Whole steps."""
        return len(self.records) // self.header.records_per_step

    def seeds(self) -> npt.NDArray[np.uint32]:
        """The noise seed of each record, [R]."""
        return np.array([probe_seed(self.header.run_seed, r) for r in range(len(self.records))], np.uint32)

    def of_step(self, step: int) -> npt.NDArray[np.void]:
        """The K records of step ``step`` (0-based)."""
        first = step * self.header.records_per_step
        return self.records[first : first + self.header.records_per_step]


def probe_seed(run_seed: int, record: int) -> int:
    """The noise seed of record ``record`` (0-based, over all steps)."""
    return derive_seed(run_seed, "probe", record)


def encode_header(header: Header) -> bytes:
    """Magic, version, length, JSON and CRC."""
    text = msgspec.json.encode(header)
    body = PREFIX.pack(MAGIC, VERSION, len(text)) + text
    return body + CHECKSUM.pack(zlib.crc32(body))


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
            remedy=RESTORE,
        )
    _, version, length = PREFIX.unpack_from(raw)
    if version != VERSION:
        raise SeedTuneError(
            "the journal has a format that this version does not read",
            file=path,
            value=version,
            rule=f"version {VERSION}",
            remedy="upgrade seedtune"
            if version > VERSION
            else "replay it with the version of seedtune that wrote it, or start a new run",
        )
    body = PREFIX.size + length
    start = body + CHECKSUM.size
    if length > MAX_HEADER_BYTES or len(raw) < start:
        raise SeedTuneError(
            "the journal's header is cut short",
            file=path,
            value=f"{len(raw)} bytes",
            rule=f">= {start}",
            remedy=RESTORE,
        )
    (checksum,) = CHECKSUM.unpack_from(raw, body)
    if zlib.crc32(raw[:body]) != checksum:
        raise SeedTuneError(
            "the journal's header has been altered", file=path, rule="its CRC-32 matches", remedy=RESTORE
        )
    rule = "the fields of docs/reference/journal.md"
    header = decoded(raw[PREFIX.size : body], Header, path, "the journal's header cannot be read", rule, RESTORE)
    for name, most in MOST.items():
        if not (name != "run_seed") <= getattr(header, name) <= most:
            raise SeedTuneError(
                "the journal's header is out of range",
                file=path,
                value=f"{getattr(header, name)} {name}",
                rule=f"{int(name != 'run_seed')} to {most:,} {name}",
                remedy=RESTORE,
            )
    return _records(raw, start, checksum, header, path)


def _records(raw: bytes, start: int, checksum: int, header: Header, path: str) -> Journal:
    kind = record_type(header.groups, header.record)
    count = (len(raw) - start) // (kind.itemsize * header.records_per_step) * header.records_per_step
    records = np.frombuffer(raw, kind, count, start)
    of_header = checksum
    for index, stored in enumerate(records["checksum"].tolist()):
        offset = start + index * kind.itemsize
        checksum = zlib.crc32(raw[offset : offset + kind.itemsize - CHECKSUM.size], checksum)
        if checksum != stored:
            raise SeedTuneError(
                f"record {index + 1} of {count} of the journal has been altered",
                file=path,
                value=f"checksum {stored:08x}",
                rule=f"checksum {checksum:08x}",
                remedy="restore the journal from a copy; the records before it are intact",
            )
    whole = start + count * kind.itemsize
    return Journal(header, records, of_header, whole, len(raw) - whole)
