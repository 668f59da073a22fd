"""The context graph: keys and values of the untouched model, nothing computed that nobody reads."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from export_lab import VOCABULARY, Export, export_in_memory, largest_difference, random_model, random_rows
from graph_lab import op_types, sizes_of
from onnx_ir import DataType
from suffix_families import config_of
from suffix_rows_lab import SplitGraphs
from transformers import DynamicCache, RobertaForMaskedLM

from seedtune.exporter.passes.context_storage import TYPES
from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.runtime.bundle.objective import ContextStorage

pytestmark = pytest.mark.traced

EMBEDDINGS = {"llama": ("model.embed_tokens.weight",), "roberta": ("roberta.embeddings.word_embeddings.weight",)}
# All of the last layer that keys and values are made of, besides what stands before it.
LAST_LAYER = {
    "llama": {"input_layernorm.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
    "roberta": {f"attention.self.{name}.{kind}" for name in ("key", "value") for kind in ("weight", "bias")},
}
LAST_NAME = {"llama": "model.layers.1.", "roberta": "roberta.encoder.layer.1."}


@pytest.fixture
def kind(suffix_graphs: SplitGraphs) -> str:
    """Which of the two models it is."""
    return "llama" if suffix_graphs.export.family == "causal" else "roberta"


def stored_as(graphs: SplitGraphs, storage: ContextStorage) -> Export:
    """The export of ``graphs`` with another storage of its contexts."""
    export, context = graphs.export, msgspec.structs.replace(graphs.context, storage=storage)
    return replace(export, context=context)


def outputs(export: Export, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the context graph returns, by name."""
    session = export.session("context")
    names = [output.name for output in session.get_outputs()]
    feeds = {name: rows[name] for name in ("ids", "mask")}
    return dict(zip(names, session.run(names, feeds), strict=True))


def test_nothing_behind_the_last_keys_and_values_is_left(suffix_graphs: SplitGraphs, kind: str) -> None:
    parameters = used_parameters(finish(suffix_graphs.export.graph("context")))
    last = {name.removeprefix(LAST_NAME[kind]) for name in parameters if name.startswith(LAST_NAME[kind])}
    assert last == LAST_LAYER[kind]
    heads = ("lm_head", "model.norm")
    assert not [name for name in parameters if name.startswith(heads)]


def test_the_only_matrix_of_the_vocabulary_is_the_embedding(suffix_graphs: SplitGraphs, kind: str) -> None:
    parameters = used_parameters(finish(suffix_graphs.export.graph("context")))
    assert [name for name, (_, shape) in parameters.items() if VOCABULARY in shape] == list(EMBEDDINGS[kind])


def test_the_last_layer_attends_to_nothing(suffix_graphs: SplitGraphs) -> None:
    graph = finish(suffix_graphs.export.graph("context")).graph
    assert op_types(graph).count("Softmax") == suffix_graphs.context.layers - 1


@pytest.mark.parametrize("storage", ["fp32", "fp16", "int8"])
def test_names_types_and_shapes(suffix_graphs: SplitGraphs, storage: ContextStorage) -> None:
    export = stored_as(suffix_graphs, storage)
    graph = export.graph("context").graph
    assert [(value.name, sizes_of(value)) for value in graph.inputs] == [
        ("ids", ["batch", "tokens"]),
        ("mask", ["batch", "tokens"]),
    ]
    context = suffix_graphs.context
    cache: list[int | str] = [context.layers, "batch", context.key_heads, "tokens"]
    expected = dict.fromkeys(("keys", "values"), (TYPES[storage], [*cache, context.head_size]))
    if storage == "int8":
        expected |= dict.fromkeys(("key_scales", "value_scales"), (DataType.FLOAT16, [*cache, 1]))
    assert {value.name: (value.dtype, sizes_of(value)) for value in graph.outputs} == expected


def test_keys_and_values_are_those_of_the_plain_model(suffix_graphs: SplitGraphs) -> None:
    export = suffix_graphs.export
    rows = random_rows(export.family, rows=3)
    found = outputs(export, rows)
    for row, length in enumerate(rows["mask"].sum(1)):
        expected = plain_keys_and_values(suffix_graphs, rows["ids"][row, :length])
        for name, array in zip(("keys", "values"), expected, strict=True):
            assert largest_difference(found[name][:, row, :, :length], array) < 1e-5


def plain_keys_and_values(graphs: SplitGraphs, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one row, [layers, key heads, T, head size] each, by transformers."""
    model, tokens = graphs.export.model, torch.from_numpy(ids[None])
    with torch.no_grad():
        if not isinstance(model, RobertaForMaskedLM):
            cache = DynamicCache(config=model.config)
            model(input_ids=tokens, past_key_values=cache, use_cache=True)
            keys, values = ([getattr(layer, name)[0] for layer in cache.layers] for name in ("keys", "values"))
            return torch.stack(keys).numpy(), torch.stack(values).numpy()
        hidden = model(input_ids=tokens, output_hidden_states=True).hidden_states
        found = []
        for name in ("key", "value"):
            layers = [getattr(layer.attention.self, name)(x) for layer, x in zip(model.roberta.encoder.layer, hidden)]  # noqa: B905 - one state more
            heads = torch.cat(layers).unflatten(-1, (graphs.context.key_heads, -1))
            found.append(heads.transpose(1, 2).numpy())
    return found[0], found[1]


def test_padding_changes_no_row(suffix_graphs: SplitGraphs) -> None:
    rows = random_rows(suffix_graphs.export.family, rows=3)
    expected = outputs(suffix_graphs.export, rows)
    filled = np.where(rows["mask"] == 1, rows["ids"], 150)
    longer = {
        "ids": np.pad(filled, ((0, 0), (0, 4)), constant_values=151),
        "mask": np.pad(rows["mask"], ((0, 0), (0, 4))),
    }
    found = outputs(suffix_graphs.export, longer)
    for name, array in expected.items():
        for row, length in enumerate(rows["mask"].sum(1)):
            assert largest_difference(found[name][:, row, :, :length], array[:, row, :, :length]) < 1e-5


def test_fp16_is_the_astype_of_numpy(suffix_graphs: SplitGraphs) -> None:
    rows = random_rows(suffix_graphs.export.family)
    plain, half = (outputs(stored_as(suffix_graphs, storage), rows) for storage in ("fp32", "fp16"))
    for name, array in plain.items():
        np.testing.assert_array_equal(half[name], array.astype(np.float16))


def test_int8_is_the_rounding_that_its_definition_says(suffix_graphs: SplitGraphs) -> None:
    rows = random_rows(suffix_graphs.export.family)
    plain, coded = (outputs(stored_as(suffix_graphs, storage), rows) for storage in ("fp32", "int8"))
    for name, array in plain.items():
        largest = np.abs(array).max(-1, keepdims=True)
        scale = np.maximum(largest / np.float32(127), np.float32(2**-14)).astype(np.float16)
        code = np.clip(np.rint(array / scale.astype(np.float32)), -127, 127).astype(np.int8)
        np.testing.assert_array_equal(coded[f"{name.removesuffix('s')}_scales"], scale)
        np.testing.assert_array_equal(coded[name], code)
        # Half a step, and what clipping costs where the scale was rounded down.
        assert np.all(np.abs(code * scale.astype(np.float32) - array) <= scale.astype(np.float32) * 0.57)


@pytest.mark.parametrize("storage", ["fp32", "int8"])
def test_a_model_of_one_layer_has_a_context_too(storage: ContextStorage) -> None:
    """Its keys are not put together from those of several layers."""
    family, config = config_of("llama", num_hidden_layers=1)
    export = export_in_memory(random_model(config, family), family, context_storage=storage)
    found = outputs(export, random_rows(family, rows=2))
    assert found["keys"].shape == (1, 2, 2, 9, 8)
    assert len(found) == (4 if storage == "int8" else 2)
