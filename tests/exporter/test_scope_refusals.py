"""Models and tasks that cannot be split: scope "all" with a notice, or a refusal that says why; never a wrong graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from export_lab import TASK, random_model, save_folder
from suffix_families import BASE, GROUPED, SPECIAL, config_of
from transformers import PretrainedConfig

from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

# Rows of the task have up to 24 tokens.
MODELS: dict[str, tuple[type[PretrainedConfig], dict[str, Any]]] = {
    "attention of its own": (transformers.BloomConfig, SPECIAL | {"hidden_size": 32, "n_layer": 1, "n_head": 4}),
    "a window shorter than a row": (transformers.MistralConfig, GROUPED | {"sliding_window": 23}),
}
REASONS = {
    "attention of its own": "does not let its attention be exchanged",
    "a window shorter than a row": "reaches back 23 tokens, and rows of this task have up to 24",
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the saved model of a case of `MODELS`; read-only by contract."""
    root = tmp_path_factory.mktemp("unsplit")

    def give(case: str) -> Path:
        if not (root / case).exists():
            kind, options = MODELS[case]
            save_folder(root / case, random_model(kind(**options), "causal"))
        return root / case

    return give


@pytest.mark.parametrize("case", MODELS)
def test_no_scope_becomes_all_with_a_notice(folder: Callable[[str], Path], tmp_path: Path, case: str) -> None:
    notices: list[str] = []
    task = str(folder(case) / "task.toml")
    manifest = export_bundle(str(folder(case)), task, tmp_path / "out", notice=notices.append)
    assert (manifest.language_model.scope, manifest.language_model.context) == ("all", None)
    (notice,) = notices
    assert notice.startswith("scope all: ")
    assert REASONS[case] in notice
    assert manifest.check is not None
    assert manifest.check.log_probability_error < 1e-4


@pytest.mark.parametrize("case", MODELS)
def test_scope_suffix_is_refused_with_the_reason(folder: Callable[[str], Path], tmp_path: Path, case: str) -> None:
    with pytest.raises(SeedTuneError, match=REASONS[case]) as caught:
        export_bundle(str(folder(case)), str(folder(case) / "task.toml"), tmp_path / "out", scope="suffix")
    assert caught.value.remedy == "use --scope all"
    assert list(tmp_path.iterdir()) == []


def test_a_window_as_long_as_the_longest_row_is_no_obstacle() -> None:
    _, config = config_of("mistral", sliding_window=24)
    assert trace_suffix(random_model(config, "causal"), "causal", 24).layers == 2


def test_a_window_of_some_layers_counts() -> None:
    """Every other layer of Gemma 2 has one."""
    _, config = config_of("gemma2", sliding_window=8)
    with pytest.raises(UnsupportedAttention, match="reaches back 8 tokens"):
        trace_suffix(random_model(config, "causal"), "causal", 24)


def test_attention_with_sinks_is_refused() -> None:
    options = {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 64}
    model = random_model(transformers.GptOssConfig(**(GROUPED | options)), "causal")
    with pytest.raises(UnsupportedAttention, match="sinks"):
        trace_suffix(model, "causal", 24)


@pytest.mark.parametrize("kind", ["MPNet", "RoFormer"])
def test_a_masked_model_with_attention_of_its_own_is_refused(kind: str) -> None:
    """Biases by position, or rotations that do not ask for positions: neither goes through the exchange."""
    config = getattr(transformers, f"{kind}Config")(**BASE)
    with pytest.raises(UnsupportedAttention, match="does not let its attention be exchanged"):
        trace_suffix(random_model(config, "masked"), "masked", 24)


# Tokens reach each other there by other ways than keys and values, or by a mask that the model makes for itself.
OTHER_WAYS: dict[str, dict[str, Any]] = {
    "Doge": {},
    "FalconH1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    "Bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "attn_layer_indices": [1]},
    "MiniMax": {"head_dim": 8},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
}


@pytest.mark.parametrize("kind", OTHER_WAYS)
def test_a_model_whose_tokens_meet_outside_attention_is_refused(kind: str) -> None:
    """Without the exception its graphs would be built, and wrong."""
    model = random_model(getattr(transformers, f"{kind}Config")(**(GROUPED | OTHER_WAYS[kind])), "causal")
    with pytest.raises(UnsupportedAttention):
        trace_suffix(model, "causal", 24)


def test_a_model_that_counts_the_masks_of_a_row_is_refused() -> None:
    """ESM scales its embeddings by the share of masks in the whole row, of which a suffix shows a part only."""
    config = transformers.EsmConfig(**BASE, position_embedding_type="rotary", token_dropout=True, mask_token_id=4)
    with pytest.raises(UnsupportedAttention):
        trace_suffix(random_model(config, "masked"), "masked", 24)


@pytest.mark.parametrize("kind", ["Falcon", "Mpt"])
def test_a_model_that_fails_without_its_mask_is_refused(kind: str) -> None:
    """Both add numbers to a mask that an exchanged attention does not get."""
    options = BASE if kind == "Falcon" else SPECIAL | {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64}
    with pytest.raises(UnsupportedAttention):
        trace_suffix(random_model(getattr(transformers, f"{kind}Config")(**options), "causal"), "causal", 24)


def open_ended(folder: Path) -> str:
    """A task whose template ends with its field."""
    path = folder / "open.toml"
    path.write_text(TASK.replace("review {text} is", "review {text}", 1))
    return str(path)


def test_a_template_without_a_fixed_end_has_a_last_token_but_no_suffix(tmp_path: Path) -> None:
    family, config = config_of("llama", num_hidden_layers=1)
    source = save_folder(tmp_path / "model", random_model(config, family))
    notices: list[str] = []
    task = open_ended(tmp_path)
    manifest = export_bundle(str(source), task, tmp_path / "out", check=False, notice=notices.append)
    assert manifest.language_model.scope == "last"
    assert notices == []
    with pytest.raises(SeedTuneError, match="the template ends with a field") as caught:
        export_bundle(str(source), task, tmp_path / "other", scope="suffix")
    assert "--scope all" in str(caught.value.remedy)
    assert not (tmp_path / "other").exists()


def test_a_masked_template_may_end_with_its_field(tmp_path: Path) -> None:
    """The mask alone is a suffix."""
    family, config = config_of("roberta", num_hidden_layers=1)
    source = save_folder(tmp_path / "model", random_model(config, family))
    notices: list[str] = []
    path = tmp_path / "mask_first.toml"
    path.write_text(TASK.replace("review {text} is {mask}", "{mask} is {text}"))
    manifest = export_bundle(str(source), str(path), tmp_path / "out", scope="suffix", notice=notices.append)
    assert manifest.language_model.scope == "suffix"
    assert manifest.check is not None
    assert notices == []
