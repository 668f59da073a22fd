"""What was tuned, in other people's tools: PEFT and transformers load it and say the same as the bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

import seedtune as face
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.state_file import MadeOf, write_state

pytestmark = pytest.mark.traced

TEXTS = ("a lovely film", "a dull song, and an awful one", "great")


@pytest.fixture(scope="module")
def state_file(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state far from zero, its head included."""
    path = tmp_path_factory.mktemp("adapters") / "state.safetensors"
    with face.open(tiny_bundle) as model:
        model.state.values[:] = 0.1 * np.random.default_rng(3).standard_normal(len(model.state.values))
        write_state(path, model.bundle, model.state, MadeOf(3, "a test"))
    return path


@pytest.fixture(scope="module")
def rows(tiny_bundle: Path) -> list[torch.Tensor]:
    """Token ids of some texts, [1, T] each."""
    with face.open(tiny_bundle) as model:
        return [torch.tensor(model.bundle.compiled_task().encode({"text": text}).ids)[None] for text in TEXTS]


@pytest.fixture(scope="module")
def expected(
    tiny_bundle: Path, tiny_checkpoint: Path, state_file: Path, rows: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Logits of transformers' model with the low-rank terms added by hooks."""
    with face.open(tiny_bundle, state=state_file) as model:
        layout, state = model.bundle.manifest.state, model.state.values.copy()
    tuned = SuffixTunedModel(AutoModelForCausalLM.from_pretrained(tiny_checkpoint).eval(), "causal", layout, state)
    with torch.no_grad():
        return [tuned(ids, torch.ones_like(ids), torch.ones_like(ids)) for ids in rows]


def logits_of(model: PreTrainedModel | PeftModel, rows: list[torch.Tensor]) -> list[torch.Tensor]:
    with torch.no_grad():
        return [model(input_ids=ids).logits.float() for ids in rows]


def require_same(found: list[torch.Tensor], expected: list[torch.Tensor], allowed: float = 1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) <= allowed * float(other.abs().max())


def test_peft_loads_the_adapter_and_gives_the_same_logits(
    tiny_bundle: Path,
    tiny_checkpoint: Path,
    state_file: Path,
    rows: list[torch.Tensor],
    expected: list[torch.Tensor],
    seedtune: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "adapter"
    done = seedtune("adapter", tiny_bundle, "--state", state_file, "--out", out, "--without-head", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["step"] == 3
    base = AutoModelForCausalLM.from_pretrained(tiny_checkpoint).eval()
    plain = logits_of(base, rows)
    model = PeftModel.from_pretrained(base, str(out))
    require_same(logits_of(model, rows), expected)
    # The state moves them by much more than is allowed, or the comparison says little.
    assert min(float((one - two).abs().max()) for one, two in zip(plain, expected, strict=True)) > 0.1
    # PEFT's own merge says the same, so the names mean what PEFT takes them for.
    require_same(logits_of(model.merge_and_unload(), rows), expected)


def test_label_scores_of_the_bundle_are_those_of_the_adapter_where_the_head_is_zero(
    tiny_bundle: Path, state_file: Path, expected: list[torch.Tensor]
) -> None:
    with face.open(tiny_bundle, state=state_file) as model:
        head = model.bundle.manifest.state.head
        assert head is not None
        model.state.values[head.offset :] = 0
        words = list(model.bundle.manifest.language_model.label_word_ids)
        found = model.predict([{"text": text} for text in TEXTS])
    for answer, logits in zip(found, expected, strict=True):
        wanted = torch.softmax(logits[0, -1, words], -1).tolist()
        assert list(answer.values()) == pytest.approx(wanted, abs=1e-5)


def test_a_merged_checkpoint_opens_in_transformers_with_the_same_logits(
    tiny_bundle: Path, state_file: Path, rows: list[torch.Tensor], expected: list[torch.Tensor], tmp_path: Path
) -> None:
    with face.open(tiny_bundle, state=state_file) as model:
        face.merge(model, out=tmp_path / "whole", without_head=True)
        size = face.merge(model, out=tmp_path / "parts", without_head=True, shard_size="20K")
    for name in ("whole", "parts"):
        require_same(logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / name).eval(), rows), expected)
    files = sorted(path.name for path in (tmp_path / "parts").glob("*.safetensors"))
    assert len(files) > 2
    index = json.loads((tmp_path / "parts" / "model.safetensors.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == files
    assert index["metadata"]["total_size"] == size
    assert not list(tmp_path.glob(".*"))


def test_weights_keep_their_type(tiny_bundle: Path, tiny_checkpoint: Path, state_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(tiny_checkpoint, half)
    tensors = load_file(half / "model.safetensors")
    save_file({name: each.bfloat16() for name, each in tensors.items()}, half / "model.safetensors", {"format": "pt"})
    with face.open(tiny_bundle, state=state_file) as model:
        face.merge(model, out=tmp_path / "merged", source=half, without_head=True)
        targets = {f"{target.name}.weight" for target in model.bundle.manifest.state.targets}
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert merged.keys() == tensors.keys()
    for name, tensor in merged.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, tensors[name].bfloat16()) == (name not in targets)


def test_what_no_file_of_weights_can_say_is_refused(
    tiny_bundle: Path, suffix_bundle: Path, state_file: Path, tmp_path: Path
) -> None:
    from seedtune.runtime.adapters.peft_files import write_peft_adapter

    with face.open(tiny_bundle, state=state_file) as model:
        for write in (
            lambda: face.merge(model, out=tmp_path / "out"),
            lambda: write_peft_adapter(tmp_path / "out", model.bundle.manifest, model.state.values),
        ):
            with pytest.raises(SeedTuneError, match="no place for the head") as caught:
                write()
            assert "--without-head" in str(caught.value.remedy)
    with face.open(suffix_bundle) as model:
        for write in (
            lambda: face.merge(model, out=tmp_path / "out", without_head=True),
            lambda: write_peft_adapter(tmp_path / "out", model.bundle.manifest, model.state.values, without_head=True),
        ):
            with pytest.raises(SeedTuneError, match="acts at every token") as caught:
                write()
            assert "--scope all" in str(caught.value.remedy)
    assert not list(tmp_path.iterdir())


def test_another_base_model_and_a_folder_in_use_are_refused(
    tiny_bundle: Path, tiny_masked_checkpoint: Path, tiny_checkpoint: Path, state_file: Path, tmp_path: Path
) -> None:
    with face.open(tiny_bundle, state=state_file) as model:
        with pytest.raises(SeedTuneError, match="another base model") as caught:
            face.merge(model, out=tmp_path / "out", source=tiny_masked_checkpoint, without_head=True)
        assert "--source" in str(caught.value.remedy)
        assert not list(tmp_path.iterdir())
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("x")
        with pytest.raises(SeedTuneError, match="there already"):
            face.merge(model, out=tmp_path / "out", without_head=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
