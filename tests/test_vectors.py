"""Vectors of a state on disk: any reader of safetensors opens them, and damage is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.vectors import read_vectors, write_vectors

VECTORS = {
    "state": np.linspace(-3, 3, 50).astype(np.float32),
    "first_moment": np.arange(50, dtype=np.float32),
}


def test_the_library_of_the_format_reads_what_is_written(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    write_vectors(tmp_path / "x.safetensors", VECTORS)
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == VECTORS.keys()
    for name, values in VECTORS.items():
        assert found[name].tobytes() == values.tobytes()


def test_what_the_library_of_the_format_writes_is_read(tmp_path: Path) -> None:
    pytest.importorskip("safetensors.numpy").save_file(VECTORS, tmp_path / "x.safetensors")
    for name, values in read_vectors(tmp_path / "x.safetensors", list(VECTORS), 50).items():
        assert values.tobytes() == VECTORS[name].tobytes()


@pytest.mark.parametrize("cut", [0, 3, 8, 40, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, cut: int) -> None:
    write_vectors(tmp_path / "x.safetensors", VECTORS)
    raw = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(raw[:cut])
    with pytest.raises(SeedTuneError, match=r"x\.safetensors"):
        read_vectors(tmp_path / "x.safetensors", ["state", "first_moment"], 50)


def test_other_names_and_lengths_are_refused(tmp_path: Path) -> None:
    write_vectors(tmp_path / "x.safetensors", VECTORS)
    with pytest.raises(SeedTuneError, match="second_moment"):
        read_vectors(tmp_path / "x.safetensors", ["second_moment"], 50)
    with pytest.raises(SeedTuneError, match="49 float32"):
        read_vectors(tmp_path / "x.safetensors", ["state"], 49)
    with pytest.raises(SeedTuneError, match="cannot be read"):
        read_vectors(tmp_path / "absent.safetensors", ["state"], 50)
