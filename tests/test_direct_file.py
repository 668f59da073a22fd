"""Reading past the page cache against plain reads, and files that change under the process."""

from __future__ import annotations

import json
import mmap
import os
import random
from pathlib import Path

import pytest

from seedtune.runtime.direct_file import PAGE_BYTES, DirectFile, span_of
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.tensors import read_header


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of 9 pages and a bit."""
    path = tmp_path / "weights"
    path.write_bytes(random.Random(3).randbytes(9 * PAGE_BYTES + 123))
    return path


@pytest.mark.parametrize("refused", [False, True], ids=["direct", "without O_DIRECT"])
def test_what_is_read_is_what_the_file_holds(weights: Path, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if refused:
        open_plainly = os.open

        def open_file(path: Path, flags: int, *rest: int) -> int:
            if flags & os.O_DIRECT:
                raise OSError(22, "Invalid argument")
            return open_plainly(path, flags, *rest)

        monkeypatch.setattr(os, "open", open_file)
    raw, generator = weights.read_bytes(), random.Random(4)
    file = DirectFile(weights, "the weights", "export it again")
    assert not (refused and file.direct)
    buffer = mmap.mmap(-1, 16 * PAGE_BYTES)
    for _ in range(200):
        offset = generator.randrange(len(raw))
        size = generator.randint(1, len(raw) - offset)
        start, whole = span_of(offset, size)
        assert start % PAGE_BYTES == whole % PAGE_BYTES == 0
        assert start <= offset
        assert offset + size <= start + whole < offset + size + PAGE_BYTES
        file.read(start, memoryview(buffer)[:whole])
        assert buffer[offset - start : offset - start + size] == raw[offset : offset + size]
    file.close()


@pytest.mark.parametrize("change", ["written to", "cut short", "grown"])
def test_a_file_that_was_changed_is_refused(weights: Path, change: str) -> None:
    file = DirectFile(weights, "the weights", "export it again")
    file.require_unchanged()
    with weights.open("r+b") as writer:
        if change == "cut short":
            writer.truncate(100)
        else:
            writer.seek(0, os.SEEK_END if change == "grown" else os.SEEK_SET)
            writer.write(b"new")
    os.utime(weights, ns=(1, 1))
    with pytest.raises(SeedTuneError, match="changed while it was in use"):
        file.require_unchanged()


def test_a_file_that_became_shorter_is_noticed_while_it_is_read(weights: Path) -> None:
    file = DirectFile(weights, "the weights", "export it again")
    os.truncate(weights, PAGE_BYTES)
    with pytest.raises(SeedTuneError, match="changed while it was in use"):
        file.read(0, memoryview(mmap.mmap(-1, 4 * PAGE_BYTES)))


def header_file(path: Path, header: object, data: bytes = b"\0" * 8) -> Path:
    """A safetensors file with that header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def test_tensors_lie_where_the_header_says(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"by": "a test"},
        "wide": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]},
        "packed": {"dtype": "U8", "shape": [2, 2], "data_offsets": [4, 8]},
    }
    path = header_file(tmp_path / "weights", header)
    found = read_header(path, frozenset({"packed"}))
    assert set(found) == {"wide", "packed"}
    assert (found["wide"].element_type, found["wide"].shape, found["wide"].size_bytes) == (1, (1, 1), 4)
    # Two values a byte; 22 is INT4 in onnx.proto.
    assert (found["packed"].element_type, found["packed"].shape, found["packed"].size_bytes) == (22, (2, 4), 4)
    assert found["packed"].offset - found["wide"].offset == 4


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": 3},
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: object) -> None:
    with pytest.raises(SeedTuneError, match="damaged header"):
        read_header(header_file(tmp_path / "weights", header))


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes((1 << 40).to_bytes(8, "little"))
    with pytest.raises(SeedTuneError, match="damaged header"):
        read_header(path)
