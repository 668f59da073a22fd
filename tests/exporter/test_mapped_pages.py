"""Resident pages of mapped files: reclaimed without loss when their file is named."""

import mmap
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seedtune.exporter.storage.mapped_pages import mapped_pages_limited, mappings, page_out, resident_file_bytes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights of 32 MiB"
    path.write_bytes(np.arange(32 * MIB // 8).tobytes())
    return path


def touch(mapping: np.ndarray) -> int:
    return int(mapping[:: mmap.PAGESIZE // 8].sum())


def test_pages_of_named_files_are_reclaimed_and_read_the_same_again(file: Path) -> None:
    mapping = np.memmap(file, np.int64, "r")
    expected = touch(mapping)
    before = resident_file_bytes()
    page_out(mappings({str(file.resolve())}))
    assert before - resident_file_bytes() > 30 * MIB
    assert touch(mapping) == expected


def test_other_files_are_left_alone_and_changed_pages_keep_what_they_hold(file: Path) -> None:
    mapping = np.memmap(file, np.int64, "c")
    touch(mapping)
    assert mappings({"/another/file"}) == []
    mapping[5] = -1
    page_out(mappings({str(file.resolve())}))
    assert mapping[5] == -1


def test_memory_that_took_the_place_of_a_mapping_keeps_what_it_holds() -> None:
    """As when a graph is opened: the mapping is gone by the time of the advice, and its addresses are another's."""
    mapping = mmap.mmap(-1, 4 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    values = np.frombuffer(mapping, np.uint8)
    values[:] = 7
    start = values.ctypes.data
    page_out([(start, start + len(values))])
    assert (values == 7).all()


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
