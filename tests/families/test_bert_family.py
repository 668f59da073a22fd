"""BERT and RoBERTa: every flag of their configurations that changes the graph, against transformers."""

from typing import Any

import pytest
from export_lab import VOCABULARY, check_against_transformers, export_in_memory, random_model
from tiers import some_slow
from transformers import BertConfig, PretrainedConfig, RobertaConfig

pytestmark = pytest.mark.traced

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
KINDS = {"bert": BertConfig, "roberta": RobertaConfig}
FLAGS: dict[str, dict[str, Any]] = {
    "default": {},
    "relu": {"hidden_act": "relu"},
    "gelu_new": {"hidden_act": "gelu_new"},
    "untied head": {"tie_word_embeddings": False},
    "one type": {"type_vocab_size": 1},
    "two types": {"type_vocab_size": 2},
    "padding 0": {"pad_token_id": 0},
    "padding 3": {"pad_token_id": 3},
    "two layers": {"num_hidden_layers": 2},
}


def config_of(kind: str, flags: dict[str, Any]) -> PretrainedConfig:
    """The configuration of ``kind`` with ``flags``."""
    padding = {"pad_token_id": 0 if kind == "bert" else 1}
    return KINDS[kind](**(BASE | padding | flags))


@pytest.mark.parametrize("name", some_slow(FLAGS, ("default", "untied head", "padding 3", "two layers")))
@pytest.mark.parametrize("kind", KINDS)
def test_every_flag_agrees_with_transformers(kind: str, name: str) -> None:
    config = config_of(kind, FLAGS[name])
    export = export_in_memory(random_model(config, "masked"), "masked", targets="all")
    check_against_transformers(export, 1e-4, padding=config.pad_token_id)


@pytest.mark.parametrize("kind", KINDS)
def test_half_storage_agrees_with_transformers_within_its_rounding(kind: str) -> None:
    config = config_of(kind, {})
    export = export_in_memory(random_model(config, "masked"), "masked", targets="all", storage="fp16")
    check_against_transformers(export, 2e-3, padding=config.pad_token_id)


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_agrees_with_transformers(kind: str) -> None:
    config = config_of(kind, {"is_decoder": True})
    export = export_in_memory(random_model(config, "causal"), "causal")
    check_against_transformers(export, 1e-4, padding=config.pad_token_id)
