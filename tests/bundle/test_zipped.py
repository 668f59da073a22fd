"""A bundle as one zip file: whole, as it is, aligned, the same each time, and nothing half there."""

from __future__ import annotations

import json
import mmap
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seedtune.runtime.bundle import zipped
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError


@pytest.fixture
def bundle(bundle_of: Callable[..., Path]) -> Path:
    """A bundle with host files."""
    return bundle_of("causal", "last", "fp16", "fp32", 1, True)


def test_what_a_phone_unpacks_is_the_bundle_without_its_host_files(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "phone.zip"
    assert zipped.write_zip(bundle, out) == out.stat().st_size
    # Another reader than the one that wrote it is kept to: Python's own unpacking, and its check of every checksum.
    assert subprocess.run([sys.executable, "-m", "zipfile", "-t", out], check=False).returncode == 0
    shutil.unpack_archive(out, tmp_path / "phone")
    unpacked, desk = Bundle.open(tmp_path / "phone" / bundle.name), Bundle.open(bundle)
    assert unpacked.sha256 == desk.sha256
    assert not unpacked.computes_contexts
    assert {path.name for path in unpacked.path.iterdir()} == {path.name for path in bundle.iterdir()} - set(
        desk.manifest.host_files
    )


def test_files_are_stored_and_begin_on_pages(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "phone.zip"
    zipped.write_zip(bundle, out)
    with zipfile.ZipFile(out) as archive, out.open("rb") as raw:
        mapped = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            content = (bundle / Path(info.filename).name).read_bytes()
            # The search shares no reading of headers with the writer.
            start = mapped.find(content, info.header_offset)
            assert start % 16384 == 0, info.filename


def test_sizes_of_64_bits_leave_files_on_their_pages(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipped.zipfile, "ZIP64_LIMIT", 2000)
    test_files_are_stored_and_begin_on_pages(bundle, tmp_path)
    monkeypatch.undo()
    assert zipfile.ZipFile(tmp_path / "phone.zip").testzip() is None


def test_equal_bundles_give_equal_zips(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name, copy_function=shutil.copyfile))
    zipped.write_zip(bundle, tmp_path / "one.zip")
    zipped.write_zip(copy, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("lost", ["manifest.json", "weights.safetensors"])
def test_what_is_not_whole_is_refused_and_leaves_the_earlier_zip(bundle: Path, tmp_path: Path, lost: str) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    (copy / lost).unlink()
    out = tmp_path / "phone.zip"
    out.write_bytes(b"earlier")
    with pytest.raises(SeedTuneError) as caught:
        zipped.write_zip(copy, out)
    assert caught.value.file is not None
    assert out.read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "phone.zip"}


def test_a_folder_that_cannot_be_written_is_told(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SeedTuneError, match="cannot be written") as caught:
        zipped.write_zip(bundle, tmp_path / "file" / "phone.zip")
    assert "choose another" in str(caught.value)


def test_the_command_writes_the_zip_beside_the_bundle(
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tiny_checkpoint: Path,
    tiny_task_file: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "tiny"
    done = seedtune("export", tiny_checkpoint, "--task", tiny_task_file, "--out", out, "--no-check", "--zip", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["zip"] == str(tmp_path / "tiny.zip")
    assert told["zip_bytes"] == (tmp_path / "tiny.zip").stat().st_size
    shutil.unpack_archive(tmp_path / "tiny.zip", tmp_path / "phone")
    assert Bundle.open(tmp_path / "phone" / "tiny").sha256 == Bundle.open(out).sha256
