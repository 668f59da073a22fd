"""Hashes are hashlib's, and a durable write leaves the new content or the old, and nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of, write_durably


def test_files_are_hashed_as_hashlib_does(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        raw = bytes(index * 7 % 251 for index in range(min(size, 4096))) * (size // 4096 + 1)
        (tmp_path / "f").write_bytes(raw[:size])
        assert sha256_of(tmp_path / "f") == hashlib.sha256(raw[:size]).hexdigest()


def test_a_durable_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_durably(tmp_path / "f", b"old")
    write_durably(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_durable_write_that_fails_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "f", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SeedTuneError, match="No space left"):
        write_durably(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
