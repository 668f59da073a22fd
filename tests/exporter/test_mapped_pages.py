"""Resident pages of mapped files: dropped when they are unmodified and named, left alone otherwise."""

import mmap
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seedtune.exporter.storage.mapped_pages import drop_pages, mapped_pages_limited, resident_file_bytes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights of 32 MiB"
    path.write_bytes(np.arange(32 * MIB // 8).tobytes())
    return path


def touch(mapping: np.ndarray) -> int:
    return int(mapping[:: mmap.PAGESIZE // 8].sum())


def test_pages_of_named_files_are_dropped_and_read_the_same_again(file: Path) -> None:
    mapping = np.memmap(file, np.int64, "r")
    expected = touch(mapping)
    before = resident_file_bytes()
    assert drop_pages({str(file.resolve())}) >= 32 * MIB
    assert before - resident_file_bytes() > 30 * MIB
    assert touch(mapping) == expected


def test_other_files_and_changed_mappings_are_left_alone(file: Path) -> None:
    mapping = np.memmap(file, np.int64, "c")
    touch(mapping)
    assert drop_pages({"/another/file"}) == 0
    mapping[5] = -1
    assert drop_pages({str(file.resolve())}) == 0
    assert mapping[5] == -1


def test_reading_a_large_file_stays_near_the_limit(file: Path) -> None:
    mapping = np.memmap(file, np.int64, "r")
    with mapped_pages_limited([file], limit_bytes=8 * MIB):
        before, peak = resident_file_bytes(), 0
        for start in range(0, len(mapping), MIB // 8):
            touch(mapping[start : start + MIB // 8])
            peak = max(peak, resident_file_bytes())
            time.sleep(0.01)
    assert peak - before < 24 * MIB


def test_without_the_limit_the_whole_file_is_resident(file: Path) -> None:
    """The control."""
    mapping = np.memmap(file, np.int64, "r")
    before = resident_file_bytes()
    touch(mapping)
    assert resident_file_bytes() - before > 30 * MIB
