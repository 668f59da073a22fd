"""Where a row's positions begin: what a model counts for itself against the same positions given to it."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel

from seedtune.exporter.checkpoint.limits import OFFSET_BY_PADDING, position_offset, usable_positions

pytestmark = pytest.mark.traced

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
    "type_vocab_size": 1,
}
# Those whose padding places can be chosen; MPNet always counts from 2.
CHOSEN = sorted(OFFSET_BY_PADDING - {"mpnet", "xmod"})
TOKENS = 9


def model_of(kind: str, padding: int) -> PreTrainedModel:
    """A tiny random model of ``kind``."""
    small = {"entity_vocab_size": 10} if kind == "luke" else {}
    config = AutoConfig.for_model(kind, **SHAPE, **small, pad_token_id=padding)
    model = AutoModelForMaskedLM.from_config(config).eval()
    if kind == "xmod":
        model.set_default_language("en_XX")
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def logits(model: PreTrainedModel, **options: torch.Tensor) -> torch.Tensor:
    """Of one row without padding, [1, T, V]."""
    ids = torch.arange(5, 5 + TOKENS)[None]
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), **options).logits


@pytest.mark.parametrize(
    ("kind", "padding"),
    [
        *((kind, padding) for kind in CHOSEN for padding in (1, 3)),
        ("mpnet", 1),
        ("xmod", 1),
        *((kind, 3) for kind in ("bert", "electra", "distilbert", "albert")),
    ],
)
def test_given_positions_are_those_that_the_model_counts(kind: str, padding: int) -> None:
    model = model_of(kind, padding)
    positions = torch.arange(TOKENS)[None] + position_offset(model.config)
    expected = logits(model)
    torch.testing.assert_close(logits(model, position_ids=positions), expected)
    assert (logits(model, position_ids=positions + 1) - expected).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "padding", "offset"), [("roberta", 1, 2), ("roberta", 0, 1), ("bert", 1, 0)])
def test_the_offset_is_what_a_table_loses(kind: str, padding: int, offset: int) -> None:
    config = AutoConfig.for_model(kind, **SHAPE, pad_token_id=padding)
    assert position_offset(config) == offset
    assert usable_positions(config) == 40 - offset


def test_a_padding_id_that_is_none_counts_as_one() -> None:
    """What RoBERTa's own default is; -1 is how some configurations spell none."""
    for none in (None, -1):
        config = AutoConfig.for_model("roberta", **SHAPE, pad_token_id=none)
        assert position_offset(config) == 2
