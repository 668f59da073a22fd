"""A journal on a disk that is full, read-only for a while, or gone."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from journal_lab import HEADER, RECORDS, expected_bytes, record_of

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import encode_header


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
        writer.append([RECORDS[0]])
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
from seedtune.runtime.journal.records import Record
import numpy as np
def a(coefficient, loss_plus, loss_minus):
    return [Record(*(np.array([value], np.float32) for value in (coefficient, loss_plus, loss_minus)))]

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
path = Path({str(path)!r})
with JournalWriter.resume(path, read_journal(path)) as writer:
    writer.append(a(1.0, 2.0, 3.0))
    try:
        writer.append(a(4.0, 5.0, 6.0))
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
        writer.append([RECORDS[0]])
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, record_of((1.0, 2.0, 3.0)), RECORDS[0]])


def test_a_record_that_failed_halfway_does_not_spoil_the_next_one(path: Path) -> None:
    """The same writer may be asked again after space was freed: the torn bytes must not stay in between."""
    journal = read_journal(path)
    limit = path.stat().st_size + 5
    script = f"""
import resource, signal
from pathlib import Path
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.records import Record
import numpy as np
def a(coefficient, loss_plus, loss_minus):
    return [Record(*(np.array([value], np.float32) for value in (coefficient, loss_plus, loss_minus)))]

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
with JournalWriter.resume(path, read_journal(path)) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {resource.RLIM_INFINITY}))
    try:
        writer.append(a(1.0, 2.0, 3.0))
    except SeedTuneError:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
    writer.append(a(1.0, 2.0, 3.0))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert journal.steps == 5
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, record_of((1.0, 2.0, 3.0))])


def test_work_goes_on_beside_the_disk_and_nothing_counts_before_it_has_answered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    sync = os.fsync

    def slow(descriptor: int) -> None:
        answered.wait(60)
        sync(descriptor)

    with JournalWriter.resume(path, read_journal(path)) as writer:
        before = writer.count
        monkeypatch.setattr(os, "fsync", slow)
        settle = writer.begin([RECORDS[0]])
        assert writer.count == before
        answered.set()
        settle()
        assert writer.count == before + 1
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, RECORDS[0]])


def test_a_record_that_the_disk_refuses_after_it_was_written_is_cut_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    before = path.read_bytes()
    with JournalWriter.resume(path, read_journal(path)) as writer:
        with monkeypatch.context() as failing_disk:
            failing_disk.setattr(os, "fsync", failing)
            settle = writer.begin([RECORDS[0]])
            with pytest.raises(SeedTuneError, match="5 records are safe"):
                settle()
        assert path.read_bytes() == before
        writer.append([RECORDS[1]])
    assert path.read_bytes() == expected_bytes(HEADER, [*RECORDS, RECORDS[1]])
