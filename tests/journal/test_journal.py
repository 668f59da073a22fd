"""The journal's bytes, by struct and zlib, and what it makes of damage and kills."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from journal_lab import HEADER, RECORDS, expected_bytes, record_of, start_of_records

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header, encode_header
from seedtune.runtime.noise import derive_seed


def test_bytes_are_as_documented(path: Path) -> None:
    assert path.read_bytes() == expected_bytes(HEADER, RECORDS)


def test_a_record_is_16_bytes_and_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    file = tmp_path / "journal.bin"
    with JournalWriter.create(file, HEADER) as writer:
        for count, record in enumerate(RECORDS):
            assert file.read_bytes() == expected_bytes(HEADER, RECORDS[:count])
            size = file.stat().st_size
            writer.append([record])
            assert file.stat().st_size == size + 16
            assert writer.count == count + 1


def test_what_was_written_is_read_back(path: Path) -> None:
    journal = read_journal(path)
    assert journal.header == HEADER
    assert journal.steps == len(RECORDS)
    for read, written in zip(journal.records, RECORDS, strict=True):
        for name in ("coefficient", "loss_plus", "loss_minus"):
            assert np.array_equal(read[name], getattr(written, name))
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
    other = expected_bytes(Header(8, 64, 1, 1, "ab" * 32, HEADER.settings), RECORDS)
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
        writer.append([RECORDS[4]])
    assert path.read_bytes() == raw


def test_reading_changes_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"torn")
    before = path.read_bytes()
    read_journal(path)
    assert path.read_bytes() == before


def with_version(raw: bytes, version: int) -> bytes:
    return raw[:8] + struct.pack("<I", version) + raw[12:]


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 - 1])
def test_another_version_is_refused(path: Path, version: int) -> None:
    path.write_bytes(with_version(path.read_bytes(), version))
    with pytest.raises(SeedTuneError) as caught:
        read_journal(path)
    assert "version 2" in str(caught.value)
    assert ("upgrade seedtune" if version > 2 else "that wrote it") in str(caught.value)
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
    raw = b"SEEDTUNE" + struct.pack("<II", 2, len(text)) + text
    path.write_bytes(raw + struct.pack("<I", zlib.crc32(raw)))
    with pytest.raises(SeedTuneError, match="header"):
        read_journal(path)


GROUPED = Header(9, 32, 3, 2, "cd" * 32, {"steps": 4})
STEPS = [
    [record_of(*((step + k / 8 + g / 64, 0.5 + g, 0.25 * step) for g in range(3))) for k in range(2)]
    for step in range(4)
]


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Four steps of two probes with a state a row, three of them."""
    file = tmp_path / "grouped.bin"
    with JournalWriter.create(file, GROUPED) as writer:
        for step in STEPS:
            writer.append(step)
    return file


def test_groups_and_probes_stand_as_documented_and_are_read_back(grouped: Path) -> None:
    raw = grouped.read_bytes()
    assert raw == expected_bytes(GROUPED, [record for step in STEPS for record in step])
    assert (len(raw) - start_of_records(raw)) == 8 * (12 * 3 + 4)
    journal = read_journal(grouped)
    assert journal.header == GROUPED
    assert (journal.steps, len(journal.records)) == (4, 8)
    assert journal.seeds().tolist() == [derive_seed(9, "probe", record) for record in range(8)]
    for step, written in enumerate(STEPS):
        for read, record in zip(journal.of_step(step), written, strict=True):
            assert np.array_equal(read["coefficient"], record.coefficient)
            assert np.array_equal(read["loss_minus"], record.loss_minus)


@pytest.mark.parametrize("torn", [1, 39, 40, 41, 79])
def test_a_step_of_which_a_record_is_missing_does_not_count(grouped: Path, torn: int) -> None:
    raw = grouped.read_bytes()
    grouped.write_bytes(raw[: len(raw) - 80 + torn])
    journal = read_journal(grouped)
    assert (journal.steps, journal.torn_bytes) == (3, torn)
    with JournalWriter.resume(grouped, journal) as writer:
        writer.append(STEPS[3])
    assert grouped.read_bytes() == raw


def test_every_altered_bit_of_a_grouped_record_is_found(grouped: Path) -> None:
    raw = grouped.read_bytes()
    start = start_of_records(raw)
    for offset in range(start, len(raw), 7):
        spoilt = bytearray(raw)
        spoilt[offset] ^= 1
        grouped.write_bytes(spoilt)
        with pytest.raises(SeedTuneError, match=rf"record {(offset - start) // 40 + 1} of 8"):
            read_journal(grouped)


@pytest.mark.parametrize(("groups", "probes"), [(0, 1), (-1, 1), (2**20 + 1, 1), (1, 0), (1, -2), (1, 2**16 + 1)])
def test_sizes_beyond_all_bounds_are_refused(tmp_path: Path, groups: int, probes: int) -> None:
    file = tmp_path / "journal.bin"
    file.write_bytes(encode_header(Header(7, 64, groups, probes, "ab" * 32, {})) + bytes(64))
    with pytest.raises(SeedTuneError, match="out of range"):
        read_journal(file)
