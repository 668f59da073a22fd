"""Journals of steps along gradients: what a step proves, cut and chained as probes are."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header, encode_header
from seedtune.runtime.journal.records import GradientRecord

HEADER = Header(
    run_seed=3,
    state_parameters=32,
    groups=1,
    records_per_step=1,
    bundle_sha256="ab" * 32,
    settings={"steps": 5},
    record="gradient",
)
RECORDS = [GradientRecord(0.5 / (step + 1), 1e-3, hashlib.sha256(bytes([step])).digest()) for step in range(5)]
RECORD_BYTES = 44


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with JournalWriter.create(tmp_path / "journal.bin", HEADER) as writer:
        for record in RECORDS:
            writer.append([record])
    return tmp_path / "journal.bin"


def test_what_was_recorded_is_read(path: Path) -> None:
    journal = read_journal(path)
    assert journal.header == HEADER
    assert journal.steps == len(RECORDS)
    for step, record in enumerate(RECORDS):
        (found,) = journal.of_step(step)
        assert found["loss"] == np.float32(record.loss)
        assert found["learning_rate"] == np.float32(record.learning_rate)
        assert bytes(found["state_sha256"]) == record.state_sha256
    assert path.stat().st_size == len(encode_header(HEADER)) + RECORD_BYTES * len(RECORDS)


def test_checksums_chain_as_the_format_says(path: Path) -> None:
    raw = path.read_bytes()
    start = len(encode_header(HEADER))
    checksum = zlib.crc32(raw[: start - 4])
    for step in range(len(RECORDS)):
        record = raw[start + RECORD_BYTES * step :][:RECORD_BYTES]
        checksum = zlib.crc32(record[:-4], checksum)
        assert int.from_bytes(record[-4:], "little") == checksum


def test_one_that_goes_on_behind_an_earlier_step_is_as_if_it_had_stopped_there(path: Path, tmp_path: Path) -> None:
    with JournalWriter.create(tmp_path / "stopped.bin", HEADER) as writer:
        for record in RECORDS[:2]:
            writer.append([record])
    earlier = read_journal(path).until(2)
    with JournalWriter.resume(path, earlier) as writer:
        assert path.read_bytes() == (tmp_path / "stopped.bin").read_bytes()
        writer.append([RECORDS[4]])
    assert read_journal(path).steps == 3
    assert read_journal(path).until(0).checksum == read_journal(path).start_checksum


def test_a_torn_step_does_not_count_and_an_altered_one_is_named(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-7])
    assert (read_journal(path).steps, read_journal(path).torn_bytes) == (4, RECORD_BYTES - 7)
    altered = bytearray(raw)
    altered[-RECORD_BYTES * 2 + 12] ^= 1
    path.write_bytes(altered)
    with pytest.raises(SeedTuneError, match="record 4 of 5"):
        read_journal(path)


def test_a_journal_of_probes_does_not_say_what_goes_without_saying() -> None:
    probes = msgspec.structs.replace(HEADER, record="probe")
    assert b'record"' not in encode_header(probes).replace(b"records_per_step", b"")


def test_a_kind_of_record_that_there_is_not_is_refused(tmp_path: Path) -> None:
    text = msgspec.json.encode(HEADER).replace(b'"gradient"', b'"hessian"')
    body = b"SEEDTUNE" + (2).to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    (tmp_path / "other.bin").write_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
    with pytest.raises(SeedTuneError, match="journal's header cannot be read"):
        read_journal(tmp_path / "other.bin")


def test_a_record_is_what_it_says() -> None:
    assert dataclasses.replace(RECORDS[0]).payload == np.array([0.5, 1e-3], "<f4").tobytes() + RECORDS[0].state_sha256
