"""Traces that tests share are the traces that each of them would have made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import onnx_ir as ir
import pytest
import torch
from trace_memo import TraceMemo, key_of
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from seedtune.exporter.trace import suffix_trunk, tracing
from seedtune.exporter.trace.suffix_trunk import SuffixScores, trace_suffix

pytestmark = pytest.mark.traced
SIZES: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 64,
}  # fmt: skip


@pytest.fixture
def memo(monkeypatch: pytest.MonkeyPatch) -> TraceMemo:
    """One that knows nothing yet, in place of that of all tests."""
    monkeypatch.setattr(suffix_trunk, "export_graph", tracing.export_graph)
    memo = TraceMemo()
    memo.install()
    return memo


def llama(seed: int, **changed: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SIZES | changed)).eval()


def described(model: ir.Model) -> list[Any]:
    """All nodes with their attributes, inputs, outputs and the values of constants."""

    def nodes(graph: ir.Graph) -> Iterator[Any]:
        for node in graph:
            attributes = sorted((name, str(attribute.value)) for name, attribute in node.attributes.items())
            read = [value and value.name for value in node.inputs]
            yield node.domain, node.op_type, attributes, read, [(out.name, str(out.shape)) for out in node.outputs]

    constants = {name: value.const_value for name, value in model.graph.initializers.items()}
    kept = sorted((name, None if one is None else one.numpy().tobytes()) for name, one in constants.items())
    return [*nodes(model.graph), kept, [str(value) for value in (*model.graph.inputs, *model.graph.outputs)]]


def test_a_remembered_trace_is_what_tracing_gives_whatever_the_values_are(
    memo: TraceMemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = (trace_suffix(llama(seed), "causal", 48, 1) for seed in (0, 1))
    assert memo.found == 1
    monkeypatch.setattr(suffix_trunk, "export_graph", tracing.export_graph)
    fresh = trace_suffix(llama(1), "causal", 48, 1)
    assert described(first.model) == described(again.model) == described(fresh.model)
    assert first.model is not again.model
    assert (again.layers, again.entering, again.longest_tokens) == (fresh.layers, fresh.entering, fresh.longest_tokens)


def test_whatever_a_trace_depends_on_is_in_its_key() -> None:
    example = (torch.zeros(2, 3), torch.arange(4))

    def key(
        model: torch.nn.Module, layer: int = 0, family: str = "causal", rows: Any = example, longest: int = 48
    ) -> str:
        return key_of(SuffixScores(model, family, layer), rows, (longest,))

    plain = key(llama(0))
    assert key(llama(7)) == plain
    others = [
        key(llama(0, rope_theta=5e5)),
        key(llama(0, num_hidden_layers=3)),
        key(llama(0, tie_word_embeddings=True)),
        key(llama(0).half()),
        key(llama(0), layer=1),
        key(llama(0), family="masked"),
        key(llama(0), longest=49),
        key(llama(0), rows=(torch.zeros(2, 4), torch.arange(4))),
        key(llama(0), rows=(torch.zeros(2, 3), torch.arange(1, 5))),
        key(MistralForCausalLM(MistralConfig(**SIZES))),
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_refusals_are_not_kept_and_each_caller_has_a_graph_of_its_own(
    memo: TraceMemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [ValueError("no"), ir.Model(ir.Graph([], [], nodes=[], name="first"), ir_version=10)]
    answers[1].meta["holds_to"] = 7

    def export_graph(*_arguments: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(tracing, "export_graph", export_graph)
    caller = SimpleNamespace(export_graph=export_graph)
    monkeypatch.setitem(sys.modules, "seedtune.exporter.trace.suffix_trunk", caller)
    memo = TraceMemo()
    memo.install()
    asked = (SuffixScores(llama(0), "causal"), (torch.zeros(1),), 48)
    with pytest.raises(ValueError, match="no"):
        caller.export_graph(*asked)
    one, other = caller.export_graph(*asked), caller.export_graph(*asked)
    assert (one.meta["holds_to"], other.meta["holds_to"]) == (7, 7)
    one.graph.name = "changed"
    assert other.graph.name == "first"
    assert caller.export_graph(*asked).graph.name == "first"
    assert memo.found == 2
