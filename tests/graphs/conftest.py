"""Tiny models, exported once."""

from typing import Any

import pytest
from export_lab import VOCABULARY, Export, export_in_memory, random_model
from suffix_rows_lab import SplitGraphs
from transformers import LlamaConfig, RobertaConfig

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
    "intermediate_size": 48,
}


@pytest.fixture(scope="session")
def llama() -> Export:
    """A causal model with grouped heads."""
    return export_in_memory(random_model(LlamaConfig(**SHAPE, num_key_value_heads=2), "causal"), "causal")


@pytest.fixture(scope="session")
def roberta() -> Export:
    """A masked model whose positions are counted from the ids."""
    config = RobertaConfig(**SHAPE, type_vocab_size=1, pad_token_id=1)
    return export_in_memory(random_model(config, "masked"), "masked")


@pytest.fixture(scope="session", params=["llama", "roberta"])
def export(request: pytest.FixtureRequest) -> Export:
    """Both of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["llama", "roberta"])
def suffix_graphs(request: pytest.FixtureRequest) -> SplitGraphs:
    """The same models, split: state at the suffix of a row, contexts stored as they are."""
    export = request.getfixturevalue(request.param)
    return SplitGraphs(export_in_memory(export.model, export.family, targets="all", context_storage="fp32"))
