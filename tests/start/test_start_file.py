"""The file that keeps a start: read by the safetensors library too, and by its hash alone."""

from pathlib import Path

import numpy as np
import pytest

from seedtune.runtime.bundle.manifest import Head
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.start.file import encode_start, read_start, sha256_of_start
from seedtune.runtime.start.linear_probe import Probe

HEAD = Head(64, 2, 5)
VALUES = np.arange(HEAD.parameters, dtype=np.float32) - 6.5
RAW = encode_start(Probe(VALUES, 0.1, 40, 0.75, 0.5, 0.7), HEAD)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "start").write_bytes(RAW)
    assert read_start(tmp_path / "start", sha256_of_start(RAW), HEAD).tolist() == VALUES.tolist()


def test_the_library_reads_it() -> None:
    found = pytest.importorskip("safetensors.numpy").load(RAW)
    assert found["weight"].tolist() == VALUES[:10].reshape(2, 5).tolist()
    assert (found["bias"].tolist(), found["scale"].tolist()) == (VALUES[10:12].tolist(), VALUES[12:].tolist())


def test_one_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="missing") as caught:
        read_start(tmp_path / "start.safetensors", "0" * 64, HEAD)
    assert str(caught.value.file).endswith("start.safetensors")
    assert caught.value.remedy


@pytest.mark.parametrize("place", [0, 20, len(RAW) - 1])
def test_one_that_was_altered_is_refused_by_name(tmp_path: Path, place: int) -> None:
    altered = bytearray(RAW)
    altered[place] ^= 1
    (tmp_path / "start").write_bytes(altered)
    with pytest.raises(SeedTuneError, match="altered"):
        read_start(tmp_path / "start", sha256_of_start(RAW), HEAD)


@pytest.mark.parametrize("head", [None, Head(64, 3, 5), Head(64, 2, 6)])
def test_one_of_another_head_is_refused(tmp_path: Path, head: Head | None) -> None:
    (tmp_path / "start").write_bytes(RAW)
    with pytest.raises(SeedTuneError, match="another bundle"):
        read_start(tmp_path / "start", sha256_of_start(RAW), head)
