"""Which configurations are causal, which masked, and which are refused."""

from __future__ import annotations

import pytest
from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from seedtune.exporter.checkpoint.family import experts_of, family_of
from seedtune.exporter.checkpoint.limits import UNLIMITED, usable_positions
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


def config(kind: str, **values: object) -> PretrainedConfig:
    """transformers' default configuration of a model type, with ``values`` set."""
    return AutoConfig.for_model(kind, **values)


@pytest.mark.parametrize(
    ("kind", "values", "family"),
    [
        ("llama", {"architectures": ["LlamaForCausalLM"]}, "causal"),
        ("gpt2", {"architectures": ["GPT2LMHeadModel"]}, "causal"),
        ("opt", {}, "causal"),
        ("opt", {"architectures": ["OPTModel"]}, "causal"),
        ("roberta", {"architectures": ["RobertaForMaskedLM"]}, "masked"),
        ("roberta", {}, "masked"),
        ("roberta", {"architectures": ["RobertaForCausalLM"], "is_decoder": True}, "causal"),
        ("roberta", {"is_decoder": True}, "causal"),
        ("bert", {"architectures": ["BertForPreTraining"]}, "masked"),
        ("bert", {"architectures": ["BertForSequenceClassification"]}, "masked"),
        ("distilbert", {"architectures": ["DistilBertForMaskedLM"]}, "masked"),
        ("modernbert", {}, "masked"),
        ("xlm", {}, "masked"),
        ("xlm", {"architectures": ["XLMWithLMHeadModel"]}, "masked"),
        ("xlm", {"architectures": ["XLMWithLMHeadModel"], "causal": True}, "causal"),
        ("flaubert", {"architectures": ["FlaubertWithLMHeadModel"]}, "masked"),
        ("doge", {}, "causal"),
        ("granitemoehybrid", {"num_local_experts": 0}, "causal"),
    ],
)
def test_family(kind: str, values: dict[str, object], family: str) -> None:
    assert family_of(config(kind, **values), "somewhere") == family


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        ("t5", {}, "encoder-decoder"),
        ("bart", {}, "encoder-decoder"),
        ("vit", {}, "not a language model"),
        ("wav2vec2", {}, "not a language model"),
        ("clip", {}, "reads more than text"),
        ("llava", {}, "reads more than text"),
        ("roberta", {"architectures": ["RobertaForCausalLM"]}, "would see the future"),
        ("mixtral", {}, "mixture of experts"),
        ("qwen2_moe", {}, "mixture of experts"),
        ("qwen3_moe", {}, "mixture of experts"),
        ("olmoe", {}, "mixture of experts"),
        ("gpt_oss", {}, "mixture of experts"),
        ("deepseek_v3", {}, "mixture of experts"),
        ("dbrx", {}, "mixture of experts"),
        ("ernie4_5_moe", {}, "mixture of experts"),
        ("jamba", {}, "mixture of experts"),
    ],
)
def test_refused(kind: str, values: dict[str, object], reason: str) -> None:
    with pytest.raises(SeedTuneError, match=reason) as caught:
        family_of(config(kind, **values), "somewhere")
    assert caught.value.file == "somewhere"
    assert caught.value.remedy


def test_positions() -> None:
    assert usable_positions(config("roberta", max_position_embeddings=514, pad_token_id=1)) == 512
    assert usable_positions(config("bert")) == 512
    assert usable_positions(config("gpt2")) == 1024
    assert usable_positions(config("opt")) == 2048
    assert usable_positions(config("bloom")) == UNLIMITED


def test_every_type_that_routes_tokens_to_experts_is_refused() -> None:
    """All that transformers has, whatever they call it; Doge routes only if it is told to."""
    kinds = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) | set(MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    # Its configuration needs another model's.
    routing = {kind for kind in kinds - {"gemma4_assistant"} if getattr(config(kind), "num_experts_per_tok", None)}
    assert len(routing) > 30
    assert {kind for kind in routing if not experts_of(config(kind))} == {"doge"}
    assert experts_of(config("doge", is_moe=True)) > 0
