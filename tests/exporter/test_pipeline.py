"""The export as a whole: a complete and checked bundle in place, or nothing at all."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_lab import VOCABULARY, random_model, save_folder
from graph_lab import products_saturate
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, RobertaConfig

from seedtune.exporter import pipeline
from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.reference.check import check_bundle
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import open_session

pytestmark = pytest.mark.traced

# Ways to store weights, and scopes; by default each way once, and the one that multiplies in 8 bits in both scopes.
FORMS = [
    *(pytest.param(storage, "suffix") for storage in ("fp32", "fp16", "int8", "int4")),
    pytest.param("int8", "all"),
    pytest.param("bf16", "suffix", marks=pytest.mark.slow),
    *(pytest.param(storage, "all", marks=pytest.mark.slow) for storage in ("fp32", "fp16", "bf16", "int4")),
]
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Llama with its tokenizer and task; read-only by contract."""
    return save_folder(tmp_path_factory.mktemp("llama"), random_model(LlamaConfig(**SHAPE), "causal"))


@pytest.fixture(scope="session")
def bundle(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle, checked; read-only by contract."""
    out = tmp_path_factory.mktemp("bundles") / "llama"
    export_bundle(str(llama), str(llama / "task.toml"), out)
    return out


def export(folder: Path, out: Path, **options: Any) -> Manifest:
    return export_bundle(str(folder), str(folder / "task.toml"), out, **options)


def test_a_bundle_is_complete_and_opens(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert {path.name for path in bundle.iterdir()} == {*opened.manifest.files, "manifest.json"}
    # Contexts are stored in half precision.
    assert opened.manifest.check is not None
    assert opened.manifest.check.log_probability_error < 1e-3
    assert opened.manifest.check.perturbed_loss_error < 1e-3
    opened.compiled_task()
    for graph in opened.manifest.graphs:
        open_session(opened.graph_path(graph), 1)
    assert {path.name for path in bundle.parent.iterdir()} == {"llama"}


@pytest.mark.parametrize(("storage", "scope"), FORMS)
def test_a_masked_model_exports_checked(tmp_path: Path, storage: str, scope: str) -> None:
    model = random_model(RobertaConfig(**SHAPE, type_vocab_size=1, pad_token_id=1), "masked")
    folder = save_folder(tmp_path / "model", model)
    manifest = export(folder, tmp_path / "out", storage=storage, scope=scope)
    assert manifest.storage == storage
    assert manifest.check is not None
    Bundle.open(tmp_path / "out")


@pytest.mark.parametrize(("storage", "scope"), [form for form in FORMS if form.values[0] != "fp32"])
def test_a_stored_model_is_smaller_and_computes_what_its_stored_weights_stand_for(
    llama: Path, bundle: Path, tmp_path: Path, storage: str, scope: str
) -> None:
    if storage == "int8" and products_saturate():
        pytest.skip("this processor's 8-bit products overflow (x86 without VNNI): docs/reference/limits.md")
    manifest = export(llama, tmp_path / "out", storage=storage, scope=scope, targets="all", context_storage="fp32")
    # The reference of the check holds the rounded weights, so what is left is float32, and int8 inputs of layers.
    allowed = 2e-3 if storage == "int8" else 1e-5
    assert manifest.check is not None
    assert manifest.check.log_probability_error < allowed
    assert manifest.check.perturbed_loss_error < allowed
    whole = (bundle / "weights.safetensors").stat().st_size
    assert (tmp_path / "out" / "weights.safetensors").stat().st_size < whole


def test_an_existing_folder_is_refused_and_left_alone(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(SeedTuneError, match="already exists"):
            export(llama, tmp_path / "out", overwrite=overwrite)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_bundle_is_replaced_only_with_overwrite(llama: Path, bundle: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(bundle, tmp_path / "out"))
    before = Bundle.open(out).sha256
    with pytest.raises(SeedTuneError, match="add --overwrite"):
        export(llama, out, rank=2)
    assert Bundle.open(out).sha256 == before
    export(llama, out, rank=2, overwrite=True, check=False)
    assert Bundle.open(out).manifest.state.rank == 2


def test_the_same_export_gives_the_same_bytes(llama: Path, bundle: Path, tmp_path: Path) -> None:
    export(llama, tmp_path / "again")
    for name in sorted(Bundle.open(bundle).manifest.files):
        assert (tmp_path / "again" / name).read_bytes() == (bundle / name).read_bytes(), name


@pytest.mark.parametrize("storage", ["fp32", "fp16"])
def test_a_failed_check_leaves_nothing_behind(
    llama: Path, tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe's A differs from the one that the check merges: a wrong bundle, which must be refused."""
    right = pipeline.lora_a_values
    monkeypatch.setattr(
        pipeline, "lora_a_values", lambda layout: {name: -4 * value for name, value in right(layout).items()}
    )
    with pytest.raises(SeedTuneError, match="do not compute what transformers computes"):
        export(llama, tmp_path / "out", storage=storage, targets="all")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rank": 0}, "rank is too small"),
        ({"targets": "nothing"}, "matches no linear layer"),
        ({"storage": "fp16"}, "does not fit half precision"),
    ],
    ids=["rank", "targets", "overflow"],
)
def test_a_failed_export_leaves_nothing_behind(llama: Path, tmp_path: Path, options: dict, reason: str) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "model"))
    if "storage" in options:
        tensors = load_file(folder / "model.safetensors")
        tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SeedTuneError, match=reason):
        export(folder, tmp_path / "out", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "name", ["model.layers.0.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight", "lm_head.weight"]
)
def test_the_check_sees_one_wrong_tensor(llama: Path, bundle: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(bundle, tmp_path / "out"))
    tensors = load_file(out / "weights.safetensors")
    raw = bytearray((out / "weights.safetensors").read_bytes())
    old = tensors[name].numpy().tobytes()
    new = torch.roll(tensors[name] * 2, 1).numpy().tobytes()
    start = bytes(raw).index(old)
    raw[start : start + len(old)] = new
    check_bundle(out, open_checkpoint(str(llama)), {})
    (out / "weights.safetensors").write_bytes(raw)
    with pytest.raises(SeedTuneError, match="do not compute what transformers computes"):
        check_bundle(out, open_checkpoint(str(llama)), {})


def test_a_state_layout_reaches_the_graphs(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    layout = opened.manifest.state
    inputs = {value.name: value.shape for value in open_session(opened.graph_path("update"), 1).get_inputs()}
    assert inputs["state"] == [layout.parameters]
    assert np.isin([target.name.split(".")[-1] for target in layout.targets], ["q_proj", "up_proj"]).all()


def test_a_place_that_cannot_be_is_refused_before_anything_is_opened(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    phases: list[str] = []
    with pytest.raises(SeedTuneError, match="is a file"):
        export(llama, tmp_path / "file" / "bundle", phase=phases.append)
    assert phases == []


def test_a_bundle_behind_a_link_is_replaced(llama: Path, bundle: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(bundle, tmp_path / "real"))
    (tmp_path / "link").symlink_to("real")
    export(llama, tmp_path / "link", rank=2, overwrite=True, check=False)
    assert (tmp_path / "link").is_symlink()
    assert Bundle.open(out).manifest.state.rank == 2
    assert {path.name for path in out.iterdir()} == {*Bundle.open(out).manifest.files, "manifest.json"}
