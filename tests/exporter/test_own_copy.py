"""A forward pass may leave tensors on its modules; no later pass of an export meets them."""

from typing import Any

import pytest
import torch
from export_lab import check_against_transformers, export_in_memory, random_model, random_state
from suffix_families import GROUPED
from suffix_oracle import plain_scores, suffix_scores
from suffix_rows_lab import SplitGraphs, split_rows
from torch._subclasses.fake_tensor import FakeTensor
from transformers import LlamaConfig, Phi3Config, PreTrainedModel

from seedtune.exporter.trace.own_copy import own_copy

pytestmark = pytest.mark.traced

LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "rope_theta": 10_000.0,
    "original_max_position_embeddings": 40,
}
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "phi3": (Phi3Config, {"original_max_position_embeddings": 40}),
    "llama": (LlamaConfig, {"rope_parameters": LONGROPE | {"factor": 3.2}}),
}


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Its rotary frequencies are looked up, and kept on the module, at the first forward pass."""
    kind, options = KINDS[request.param]
    config = kind(**(GROUPED | {"num_hidden_layers": 1, "rope_parameters": LONGROPE} | options))
    return random_model(config, "causal")


def attributes(model: torch.nn.Module) -> dict[str, object]:
    return {
        f"{name}.{key}": id(value)
        for name, module in model.named_modules()
        for key, value in {**vars(module), **module._buffers}.items()
        if isinstance(value, torch.Tensor)
    }


def test_a_copy_shares_parameters_and_nothing_else() -> None:
    tied = random_model(LlamaConfig(**GROUPED, tie_word_embeddings=True), "causal")
    copy: Any = own_copy(tied)
    assert [id(value) for value in copy.parameters()] == [id(value) for value in tied.parameters()]
    assert copy.lm_head.weight is copy.model.embed_tokens.weight
    buffers = dict(tied.named_buffers())
    assert buffers
    for name, value in copy.named_buffers():
        assert value is not buffers[name]
        assert torch.equal(value, buffers[name])
    assert copy.config is not tied.config


def test_longrope_agrees_with_transformers_in_both_scopes(model: PreTrainedModel) -> None:
    before = attributes(model)
    suffix = export_in_memory(model, "causal", targets="all", context_storage="fp32")
    # A trace that follows another is that of an untouched model.
    whole = export_in_memory(model, "causal", targets="all")
    assert attributes(model) == before
    assert not any(isinstance(value, FakeTensor) for value in model.buffers())
    graphs = SplitGraphs(suffix)
    rows, state = split_rows("causal"), random_state(suffix.layout, 5e-2)
    feeds = graphs.feeds(rows)
    assert abs(graphs.evaluate(feeds, 0 * state) - plain_scores(suffix, rows)).max() < 1e-4
    assert abs(graphs.evaluate(feeds, state) - suffix_scores(suffix, rows, state)).max() < 1e-4
    check_against_transformers(whole, 1e-4)
