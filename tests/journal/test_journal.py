"""The journal's bytes, by struct and zlib, and what it makes of damage, kills and full disks."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header, Record, encode_header
from seedtune.runtime.noise import derive_seed

HEADER = Header(7, 64, "ab" * 32, {"steps": 5, "learning_rate": 0.02, "schedule": "linear"})
RECORDS = [Record(float(np.float32(0.1 * k - 0.2)), 0.5 + k / 4, 0.75 - k / 8) for k in range(5)]


def expected_bytes(header: Header, records: list[Record]) -> bytes:
    """The format as documented, without a line of the code under test."""
    text = json.dumps(
        {
            "run_seed": header.run_seed,
            "state_parameters": header.state_parameters,
            "bundle_sha256": header.bundle_sha256,
            "settings": header.settings,
        },
        separators=(",", ":"),
    ).encode()
    raw = b"SEEDTUNE" + struct.pack("<II", 1, len(text)) + text
    checksum = zlib.crc32(raw)
    raw += struct.pack("<I", checksum)
    for record in records:
        payload = struct.pack("<fff", record.coefficient, record.loss_plus, record.loss_minus)
        checksum = zlib.crc32(payload, checksum)
        raw += payload + struct.pack("<I", checksum)
    return raw


def start_of_records(raw: bytes) -> int:
    return 20 + struct.unpack_from("<I", raw, 12)[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "journal.bin"
    with JournalWriter.create(file, HEADER) as writer:
        for record in RECORDS:
            writer.append(record)
    return file


def test_bytes_are_as_documented(path: Path) -> None:
    assert path.read_bytes() == expected_bytes(HEADER, RECORDS)


def test_a_record_is_16_bytes_and_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    file = tmp_path / "journal.bin"
    with JournalWriter.create(file, HEADER) as writer:
        for count, record in enumerate(RECORDS):
            assert file.read_bytes() == expected_bytes(HEADER, RECORDS[:count])
            size = file.stat().st_size
            writer.append(record)
            assert file.stat().st_size == size + 16
            assert writer.count == count + 1


def test_what_was_written_is_read_back(path: Path) -> None:
    journal = read_journal(path)
    assert journal.header == HEADER
    assert journal.steps == len(RECORDS)
    for read, written in zip(journal.records, RECORDS, strict=True):
        assert (read["coefficient"], read["loss_plus"], read["loss_minus"]) == (
            written.coefficient,
            written.loss_plus,
            written.loss_minus,
        )
    assert journal.torn_bytes == 0
    assert journal.whole_bytes == path.stat().st_size


def test_seeds_are_derived_from_the_run_seed_and_the_place(path: Path) -> None:
    assert read_journal(path).seeds().tolist() == [derive_seed(7, "probe", k) for k in range(5)]


def test_an_empty_journal_is_a_journal(tmp_path: Path) -> None:
    JournalWriter.create(tmp_path / "j", HEADER).close()
    journal = read_journal(tmp_path / "j")
    assert journal.steps == 0
    assert journal.seeds().shape == (0,)


def test_every_altered_bit_of_every_record_is_found(path: Path) -> None:
    raw = path.read_bytes()
    start = start_of_records(raw)
    for offset in range(start, len(raw)):
        for bit in (0, 7):
            spoilt = bytearray(raw)
            spoilt[offset] ^= 1 << bit
            path.write_bytes(spoilt)
            with pytest.raises(SeedTuneError, match=rf"record {(offset - start) // 16 + 1} of 5"):
                read_journal(path)


def test_every_altered_byte_of_the_header_is_found(path: Path) -> None:
    raw = path.read_bytes()
    for offset in range(start_of_records(raw)):
        spoilt = bytearray(raw)
        spoilt[offset] ^= 0x20
        path.write_bytes(spoilt)
        with pytest.raises(SeedTuneError, match=str(path)):
            read_journal(path)


@pytest.mark.parametrize("dropped", [0, 1, 3])
def test_a_dropped_record_is_found(path: Path, dropped: int) -> None:
    raw = path.read_bytes()
    cut = start_of_records(raw) + 16 * dropped
    path.write_bytes(raw[:cut] + raw[cut + 16 :])
    with pytest.raises(SeedTuneError, match=rf"record {dropped + 1} of 4"):
        read_journal(path)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 4), (3, 4)])
def test_swapped_records_are_found(path: Path, first: int, second: int) -> None:
    raw = path.read_bytes()
    start = start_of_records(raw)
    parts = [raw[start + 16 * k : start + 16 * k + 16] for k in range(5)]
    parts[first], parts[second] = parts[second], parts[first]
    path.write_bytes(raw[:start] + b"".join(parts))
    with pytest.raises(SeedTuneError, match=rf"record {first + 1} of 5"):
        read_journal(path)


def test_records_of_another_journal_are_found(path: Path, tmp_path: Path) -> None:
    raw = path.read_bytes()
    other = expected_bytes(Header(8, 64, "ab" * 32, HEADER.settings), RECORDS)
    path.write_bytes(raw[: start_of_records(raw)] + other[start_of_records(other) :])
    with pytest.raises(SeedTuneError, match="record 1 of 5"):
        read_journal(path)


@pytest.mark.parametrize("torn", range(1, 16))
def test_a_torn_tail_is_tolerated_and_cut_on_resume(path: Path, torn: int) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - 16 + torn])
    journal = read_journal(path)
    assert (journal.steps, journal.torn_bytes) == (4, torn)
    with JournalWriter.resume(path, journal) as writer:
        writer.append(RECORDS[4])
    assert path.read_bytes() == raw


def test_reading_changes_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"torn")
    before = path.read_bytes()
    read_journal(path)
    assert path.read_bytes() == before


def with_version(raw: bytes, version: int) -> bytes:
    return raw[:8] + struct.pack("<I", version) + raw[12:]


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
def test_another_version_is_refused(path: Path, version: int) -> None:
    path.write_bytes(with_version(path.read_bytes(), version))
    with pytest.raises(SeedTuneError) as caught:
        read_journal(path)
    assert "version 1" in str(caught.value)
    assert str(version) in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"SEED", b"SEEDTUNE", b"seedtune" + bytes(40), b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_journal_is_refused(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "picture.bin"
    file.write_bytes(raw)
    with pytest.raises(SeedTuneError, match=r"picture\.bin: this is not a journal"):
        read_journal(file)


def test_every_cut_inside_the_header_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    for length in range(start_of_records(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(SeedTuneError, match=r"not a journal|cut short"):
            read_journal(path)


def test_a_header_length_beyond_all_bounds_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:12] + b"\xff\xff\xff\xff" + raw[16:])
    with pytest.raises(SeedTuneError, match="header"):
        read_journal(path)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"run_seed": "x"}', b'{"run_seed": 1}', b"\xff\xfe", b"{}"])
def test_a_header_that_is_consistent_but_no_header_is_refused(path: Path, text: bytes) -> None:
    raw = b"SEEDTUNE" + struct.pack("<II", 1, len(text)) + text
    path.write_bytes(raw + struct.pack("<I", zlib.crc32(raw)))
    with pytest.raises(SeedTuneError, match="header"):
        read_journal(path)


def test_a_missing_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"gone\.bin"):
        read_journal(tmp_path / "gone.bin")


def test_an_existing_journal_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(SeedTuneError, match=r"journal\.bin"):
        JournalWriter.create(path, HEADER)
    assert path.read_bytes() == before


def test_a_journal_is_there_with_its_whole_header_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between making the file and writing the header left an empty journal, which no run could go on with."""
    new, seen = tmp_path / "new.bin", []
    rename = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((new.exists(), self.read_bytes()))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    JournalWriter.create(new, HEADER).close()
    assert seen == [(False, encode_header(HEADER))]
    assert read_journal(new).header == HEADER
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".partial")] == []


def test_a_full_disk_is_an_error_that_counts_what_is_safe(path: Path) -> None:
    journal = read_journal(path)
    writer = JournalWriter.resume(path, journal)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._descriptor)
    os.close(full)
    with pytest.raises(SeedTuneError) as caught:
        writer.append(RECORDS[0])
    writer.close()
    assert "No space left" in str(caught.value)
    assert "5 records are safe" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert path.read_bytes() == expected_bytes(HEADER, RECORDS)


@pytest.mark.parametrize("spare", [0, 1, 7, 15])
def test_a_file_that_may_not_grow_keeps_the_earlier_records(path: Path, spare: int) -> None:
    """The limit cuts the second new record after ``spare`` bytes; a signal would otherwise kill the process."""
    limit = path.stat().st_size + 16 + spare
    script = f"""
import resource, signal, sys
from pathlib import Path
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
path = Path({str(path)!r})
with JournalWriter.resume(path, read_journal(path)) as writer:
    writer.append(Record(1.0, 2.0, 3.0))
    try:
        writer.append(Record(4.0, 5.0, 6.0))
    except SeedTuneError as error:
        print(error)
        sys.exit(2)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "6 records are safe" in done.stdout
    journal = read_journal(path)
    assert journal.steps == 6
    assert journal.records["coefficient"][5] == 1.0
    with JournalWriter.resume(path, journal) as writer:
        writer.append(RECORDS[0])
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, Record(1.0, 2.0, 3.0), RECORDS[0]])


def test_a_record_that_failed_halfway_does_not_spoil_the_next_one(path: Path) -> None:
    """The same writer may be asked again after space was freed: the torn bytes must not stay in between."""
    journal = read_journal(path)
    limit = path.stat().st_size + 5
    script = f"""
import resource, signal
from pathlib import Path
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
with JournalWriter.resume(path, read_journal(path)) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {resource.RLIM_INFINITY}))
    try:
        writer.append(Record(1.0, 2.0, 3.0))
    except SeedTuneError:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
    writer.append(Record(1.0, 2.0, 3.0))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert journal.steps == 5
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, Record(1.0, 2.0, 3.0)])
