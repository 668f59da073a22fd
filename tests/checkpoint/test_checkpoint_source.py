"""What open_checkpoint makes of the user's words, and what it says when it can make nothing of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

from seedtune.exporter.checkpoint import embedded_models, open_checkpoint
from seedtune.exporter.checkpoint.fetch import hub
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


def refusal(source: str) -> str:
    """The message that ``source`` ends in."""
    with pytest.raises(SeedTuneError) as caught:
        open_checkpoint(source)
    return str(caught.value)


def test_names_nearby(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "opt-125m").mkdir()
    (tmp_path / "tiny.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert "did you mean smollm2-135m-instruct?" in refusal("SmolLM2_135M_Instruct")
    assert "did you mean smollm2-135m-instruct?" in refusal("smollm2")
    assert "did you mean opt-125m?" in refusal("opt-126m")
    assert "embedded model: smollm2-135m-instruct" in refusal("zzz")
    assert f"did you mean {tmp_path / 'opt-125m'}?" in refusal(str(tmp_path / "opt-125"))
    assert "no such folder" in refusal("./nowhere")
    assert "no such folder" in refusal("a/b/c")
    assert "no such file" in refusal("tinny.gguf")
    assert "did you mean tiny.gguf?" in refusal("tinny.gguf")
    assert "there is no model of this name" in refusal("")
    # With a folder of that name here, organisation/model is a mistyped path.
    (tmp_path / "models").mkdir()
    assert "no such folder" in refusal("models/opt")


def test_a_file_of_the_folder_instead_of_the_folder(saved: Callable[[str], Path]) -> None:
    folder = saved("opt")
    assert f"give the folder instead: {folder}" in refusal(str(folder / "model.safetensors"))


def test_embedded_models_are_described() -> None:
    assert list(embedded_models()) == ["smollm2-135m-instruct"]
    assert "Apache-2.0" in embedded_models()["smollm2-135m-instruct"]


def test_offline_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OfflineModeIsEnabled("offline mode is enabled")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    started = time.monotonic()
    message = refusal("no-such-organisation/no-such-model")
    assert time.monotonic() - started < 10
    assert "no-such-organisation/no-such-model" in message
    assert "cannot be reached" in message
    assert "HF_HUB_OFFLINE" in message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatedRepoError, "accept its terms at https://huggingface.co/a/b"),
        (RepositoryNotFoundError, "no such model"),
    ],
)
def test_hub_says_no(monkeypatch: pytest.MonkeyPatch, error: type[Exception], said: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        # Made without __init__, which wants a response of the HTTP library that this version of the hub uses.
        raise error.__new__(error)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    assert said in refusal("a/b")


def test_hub_download_is_a_folder(saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved("opt")
    asked: list[list[str]] = []
    files = [*(path.name for path in folder.iterdir()), "pytorch_model.bin", "onnx/model.onnx", "tf_model.h5"]

    def list_files(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in files])

    def download(_: str, allow_patterns: list[str], **__: object) -> str:
        asked.append(allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", list_files)
    monkeypatch.setattr(hub, "snapshot_download", download)
    checkpoint = open_checkpoint("organisation/model")
    assert checkpoint.source == "organisation/model"
    assert set(asked[0]) == {path.name for path in folder.iterdir()}


def test_wanted_files() -> None:
    common = [
        "config.json",
        "vocab.json",
        "merges.txt",
        "README.md",
        "flax_model.msgpack",
        "onnx/config.json",
    ]
    kept = ["config.json", "vocab.json", "merges.txt"]
    shards = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    assert hub.wanted_files([*common, *shards, "pytorch_model.bin"], "a/b") == shards + kept
    assert hub.wanted_files([*common, "pytorch_model.bin"], "a/b") == ["pytorch_model.bin", *kept]
    with pytest.raises(SeedTuneError, match=r"run: hf download a/b x\.gguf"):
        hub.wanted_files([*common, "x.gguf"], "a/b")


def test_light_install_names_torch() -> None:
    """Without the export extra the import says which package is missing, for the command line to explain."""
    hidden = ["torch", "transformers", "gguf", "safetensors", "huggingface_hub"]
    code = (
        "import sys\n"
        f"for name in {hidden}: sys.modules[name] = None\n"
        "try:\n    import seedtune.exporter.checkpoint\n"
        "except ImportError as error: print(error.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "torch"
