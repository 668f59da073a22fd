"""One bundle for desk and phone: its host files are all here or all at the desk, and everything else is always here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_lab import edit, refused

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError


@pytest.fixture
def apart(bundle_of: Callable[..., Path], tmp_path: Path) -> Path:
    """A bundle with host files, which may be spoilt."""
    return Path(shutil.copytree(bundle_of("causal", "last", "fp16", "fp32", 1, True), tmp_path / "bundle"))


@pytest.fixture
def phone(apart: Path, tmp_path: Path) -> Path:
    """The same bundle as it is on a phone, which may be spoilt."""
    folder = Path(shutil.copytree(apart, tmp_path / "phone"))
    for name in Bundle.open(apart).manifest.host_files:
        (folder / name).unlink()
    return folder


def test_it_is_the_same_bundle_with_and_without_its_host_files(apart: Path, phone: Path) -> None:
    desk, bundle = Bundle.open(apart), Bundle.open(phone)
    assert bundle.sha256 == desk.sha256
    assert (desk.computes_contexts, bundle.computes_contexts) == (True, False)
    assert bundle.plan.graphs.keys() == {"probe", "eval", "gradient"}
    assert desk.plan.graphs.keys() == bundle.plan.graphs.keys() | {"context"}
    assert [path.name for path in desk.weights_paths] == ["weights.safetensors", "context.safetensors"]
    assert [path.name for path in bundle.weights_paths] == ["weights.safetensors"]
    on_phone = sum(path.stat().st_size for path in phone.iterdir() if path.name != "manifest.json")
    assert bundle.manifest.phone_bytes == on_phone


def test_the_graph_of_contexts_is_refused_by_name_where_it_is_not(phone: Path) -> None:
    with pytest.raises(SeedTuneError, match="host files are at the desk") as caught:
        Bundle.open(phone).graph_path("context")
    assert "seedtune cache" in str(caught.value.remedy)


@pytest.mark.parametrize("name", ["context.onnx", "context.safetensors", "context.stage0.onnx"])
def test_one_host_file_alone_may_not_be_missing(apart: Path, name: str) -> None:
    (apart / name).unlink()
    message = refused(apart)
    assert "some of the bundle's host files are missing" in message
    assert name in message


def test_one_host_file_alone_may_not_be_here(apart: Path, phone: Path) -> None:
    shutil.copy(apart / "context.onnx", phone)
    assert "context.safetensors" in refused(phone)


@pytest.mark.parametrize("name", ["weights.safetensors", "probe.onnx", "probe.stage0.onnx", "stages.json"])
def test_a_file_that_every_device_needs_may_not_be_missing(phone: Path, name: str) -> None:
    (phone / name).unlink()
    message = refused(phone)
    assert name in message
    assert "missing" in message


@pytest.mark.parametrize("name", ["context.onnx", "context.safetensors", "context.stage0.onnx"])
def test_host_files_that_are_here_are_verified_like_all_others(apart: Path, name: str) -> None:
    raw = bytearray((apart / name).read_bytes())
    raw[-1] ^= 1
    (apart / name).write_bytes(raw)
    assert "altered" in refused(apart)
    (apart / name).write_bytes(raw[:-1])
    assert "truncated" in refused(apart)


def test_a_link_that_leads_nowhere_is_no_absent_file(phone: Path) -> None:
    for name in Bundle.open(phone).manifest.host_files:
        (phone / name).symlink_to(phone / "nowhere")
    assert "a file of the bundle is missing" in refused(phone)


@pytest.mark.parametrize("forged", ["probe.onnx", "weights.safetensors", "stages.json", "../secret", "context.txt"])
def test_a_manifest_cannot_leave_other_files_to_the_desk(phone: Path, forged: str) -> None:
    edit(phone, lambda manifest: manifest["host_files"].append(forged))
    (phone / forged).unlink(missing_ok=True)
    assert "every device needs" in refused(phone)


def test_host_files_are_all_that_only_contexts_read_or_none(apart: Path, suffix_bundle: Path, tmp_path: Path) -> None:
    edit(apart, lambda manifest: manifest["host_files"].remove("context.onnx"))
    assert "host files are not those" in refused(apart)
    edit(apart, lambda manifest: manifest.update(host_files=[]))
    assert "context.safetensors" in refused(apart)
    plain = Path(shutil.copytree(suffix_bundle, tmp_path / "plain"))
    edit(plain, lambda manifest: manifest.update(host_files=["context.onnx"]))
    assert "context.safetensors" in refused(plain)


def test_a_manifest_without_the_word_has_no_host_files(suffix_bundle: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(suffix_bundle, tmp_path / "plain"))
    edit(plain, lambda manifest: manifest.pop("host_files"))
    bundle = Bundle.open(plain)
    assert bundle.computes_contexts
    assert bundle.manifest.host_bytes == 0
