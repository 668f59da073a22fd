"""Roles, presets and patterns; the layout of the state they make; the values of A."""

import numpy as np
import onnx_ir as ir
import pytest

from seedtune.exporter.passes.linear_layout import Linear
from seedtune.exporter.targets import PRESETS, lay_out, role_of, select
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.errors import SeedTuneError

ROLES = {
    "model.layers.0.self_attn.q_proj": "query",
    "model.layers.0.self_attn.k_proj": "key",
    "model.layers.0.self_attn.v_proj": "value",
    "model.layers.0.self_attn.o_proj": "output",
    "model.layers.0.mlp.gate_proj": "gate",
    "model.layers.0.mlp.up_proj": "up",
    "model.layers.0.mlp.down_proj": "down",
    "model.decoder.layers.0.self_attn.out_proj": "output",
    "model.decoder.layers.0.fc1": "up",
    "model.decoder.layers.0.fc2": "down",
    "bert.encoder.layer.0.attention.self.query": "query",
    "bert.encoder.layer.0.attention.self.key": "key",
    "bert.encoder.layer.0.attention.self.value": "value",
    "bert.encoder.layer.0.attention.output.dense": "output",
    "bert.encoder.layer.0.intermediate.dense": "up",
    "bert.encoder.layer.0.output.dense": "down",
    "transformer.h.0.attn.c_attn": "query_key_value",
    "transformer.h.0.attn.c_proj": "output",
    "transformer.h.0.mlp.c_fc": "up",
    "transformer.h.0.mlp.c_proj": "down",
    "gpt_neox.layers.0.attention.query_key_value": "query_key_value",
    "gpt_neox.layers.0.attention.dense": "output",
    "gpt_neox.layers.0.mlp.dense_h_to_4h": "up",
    "gpt_neox.layers.0.mlp.dense_4h_to_h": "down",
    "model.layers.0.self_attn.dense": "output",
    "distilbert.transformer.layer.0.attention.q_lin": "query",
    "distilbert.transformer.layer.0.attention.out_lin": "output",
    "distilbert.transformer.layer.0.ffn.lin1": "up",
    "distilbert.transformer.layer.0.ffn.lin2": "down",
    "model.layers.0.attn.Wqkv": "query_key_value",
    "model.layers.0.mlp.Wi": "up",
    "model.decoder.project_in": None,
}


def linear(name: str, rows: ir.Value | None = None, out_features: int = 8, in_features: int = 6) -> Linear:
    value = ir.Value(name="y")
    return Linear(name, f"{name}.weight", rows or ir.Value(name="x"), value, in_features, out_features)


LLAMA = [
    linear(name.replace(".0.", f".{layer}."))
    for layer in range(12)
    for name in ROLES
    if name.startswith("model.layers.0.") and name.endswith("_proj")
]


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_the_role_of_every_layer_of_every_family(name: str, role: str | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("spec", "endings"),
    [
        ("default", ("q_proj", "up_proj")),
        ("attention", ("q_proj", "k_proj", "v_proj", "o_proj")),
        ("mlp", ("gate_proj", "up_proj", "down_proj")),
        ("all", ("_proj",)),
        ("query", ("q_proj",)),
        ("down, value", ("v_proj", "down_proj")),
        ("*.gate_proj,,", ("gate_proj",)),
    ],
)
def test_presets_roles_and_patterns_choose_in_graph_order(spec: str, endings: tuple[str, ...]) -> None:
    assert select(LLAMA, spec) == [one for one in LLAMA if one.name.endswith(endings)]


def test_shell_patterns_choose_layers() -> None:
    chosen = [one.name for one in select(LLAMA, "*.layers.1?.mlp.down_proj")]
    assert chosen == ["model.layers.10.mlp.down_proj", "model.layers.11.mlp.down_proj"]


def test_overlapping_items_choose_a_layer_once() -> None:
    assert select(LLAMA, "query,attention,*.q_proj") == select(LLAMA, "attention")


def test_the_default_of_a_model_without_known_roles_is_every_layer() -> None:
    unknown = [linear("net.first"), linear("net.second")]
    assert select(unknown, "default") == unknown


@pytest.mark.parametrize("spec", ["quer", "query_key_value", "*.nothing", "query,nothing", "", " , ", "Query"])
def test_no_match_lists_what_there_is(spec: str) -> None:
    with pytest.raises(SeedTuneError) as caught:
        select(LLAMA, spec)
    message = str(caught.value)
    for shown in (*PRESETS, "down, gate, key, output, query, up, value", "84 layers", LLAMA[0].name, "…"):
        assert shown in message


def test_the_layout_aligns_every_target_to_whole_noise_words() -> None:
    sizes = [(8, 6), (33, 6), (1, 6), (32, 6)]
    layout = lay_out([linear(f"l{i}", None, o, i_) for i, (o, i_) in enumerate(sizes)], 3, 5)
    assert [target.offset for target in layout.targets] == [0, 32, 160, 192]
    assert layout.parameters == 288
    assert [(t.out_features, t.in_features, t.rank) for t in layout.targets] == [(o, i, 3) for o, i in sizes]


def test_equal_inputs_share_a_and_others_do_not() -> None:
    rows = ir.Value(name="rows")
    layout = lay_out([linear("a", rows), linear("b"), linear("c", rows)], 2, 0)
    assert [target.lora_a for target in layout.targets] == ["a.lora_A.weight", "b.lora_A.weight", "a.lora_A.weight"]


def test_a_is_random_signs_of_unit_rows_that_depend_on_seed_and_place() -> None:
    layout = lay_out([linear("a", None, 8, 64), linear("b", None, 8, 64)], 4, 9)
    values = lora_a_values(layout)
    assert list(values) == ["a.lora_A.weight", "b.lora_A.weight"]
    for value in values.values():
        assert value.shape == (4, 64)
        assert value.dtype == np.float32
        np.testing.assert_array_equal(np.abs(value), np.full((4, 64), 0.125, np.float32))
    first, second = values.values()
    other = lora_a_values(lay_out([linear("a", None, 8, 64)], 4, 10))["a.lora_A.weight"]
    again = lora_a_values(lay_out([linear("a", None, 8, 64)], 4, 9))["a.lora_A.weight"]
    assert (first != second).any()
    assert (first != other).any()
    np.testing.assert_array_equal(first, again)
