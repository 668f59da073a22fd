"""What ONNX Runtime cannot run is refused by name, in every part of an export; what it can is not refused."""

from pathlib import Path

import msgspec
import onnx_ir as ir
import pytest
import transformers
from export_lab import random_model, save_folder
from graph_lab import FLOAT, make_graph, make_value
from suffix_families import BASE, config_of

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.graphs import all_graphs
from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.reference.check import check_bundle
from seedtune.exporter.stages.memory import batches_to_infer
from seedtune.exporter.stages.types import infer
from seedtune.runtime.bundle.manifest import MANIFEST, encode_manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


def test_a_table_of_positions_shorter_than_usual_rows_is_no_obstacle(tmp_path: Path) -> None:
    config = transformers.BertConfig(**(BASE | {"num_hidden_layers": 1, "max_position_embeddings": 24}))
    folder = save_folder(tmp_path / "model", random_model(config, "masked"))
    manifest = export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", scope="all")
    assert manifest.check is not None


@pytest.mark.parametrize("is_suffix", [False, True])
def test_sizes_are_inferred_for_no_more_tokens_than_a_row_may_have(is_suffix: bool) -> None:
    inputs = [make_value("context_length", FLOAT, ["batch"])] if is_suffix else []
    model = make_graph(inputs, [], [], [])
    for most in (24, 300, 2**31 - 1):
        sizes = batches_to_infer(model, most)
        longest = max(max(size["tokens"], size["context"]) for size in sizes)
        assert longest == min(most, 512)
        assert len({tuple(size.values()) for size in sizes}) == len(sizes)


def test_alibi_in_bfloat16_is_right(tmp_path: Path) -> None:
    """Falcon rounds its biases to bfloat16, in which ONNX Runtime cannot multiply."""
    config = transformers.FalconConfig(**(BASE | {"num_hidden_layers": 1, "alibi": True}))
    folder = save_folder(tmp_path / "model", random_model(config, "causal"))
    manifest = export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", scope="all", targets="all")
    assert manifest.check is not None
    assert max(manifest.check.log_probability_error, manifest.check.perturbed_loss_error) < 1e-4


def unknown_operator() -> ir.Model:
    a = make_value("a", FLOAT, ["batch", "tokens"])
    node = ir.node("Frobnicate", [a])
    y = node.outputs[0]
    y.name, y.dtype, y.shape = "y", FLOAT, ir.Shape(["batch", "tokens"])
    return make_graph([a], [y], [node], [])


def test_an_operator_that_onnx_runtime_lacks_is_refused_by_its_name() -> None:
    with pytest.raises(SeedTuneError, match="cannot run what the model was traced to") as caught:
        infer(unknown_operator(), [{"batch": 2, "tokens": 3}])
    assert "Frobnicate" in str(caught.value)


def test_the_model_is_named_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family, config = config_of("llama", num_hidden_layers=1)
    folder = save_folder(tmp_path / "model", random_model(config, family))
    right = all_graphs.build_eval
    monkeypatch.setattr(all_graphs, "build_eval", lambda *rest: with_unknown_operator(right(*rest)))
    with pytest.raises(SeedTuneError, match="Frobnicate") as caught:
        export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out")
    assert caught.value.file == "LlamaForCausalLM"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def with_unknown_operator(model: ir.Model) -> ir.Model:
    node = next(node for node in model.graph if node.op_type == "Gemm")
    node.op_type = "Frobnicate"
    return model


def test_a_graph_that_stops_in_the_check_is_a_refusal(tmp_path: Path) -> None:
    """The manifest promises token ids that the embedding has not."""
    family, config = config_of("llama", num_hidden_layers=1)
    folder = save_folder(tmp_path / "model", random_model(config, family))
    out = tmp_path / "out"
    manifest = export_bundle(str(folder), str(folder / "task.toml"), out, check=False)
    model = msgspec.structs.replace(manifest.language_model.model, vocabulary_size=10_000)
    changed = msgspec.structs.replace(manifest, objective=msgspec.structs.replace(manifest.language_model, model=model))
    (out / MANIFEST).write_bytes(encode_manifest(changed))
    Bundle.open(out)
    with pytest.raises(SeedTuneError, match="the exported graphs do not run; no bundle was written") as caught:
        check_bundle(out, open_checkpoint(str(folder)), {})
    assert "Gather" in str(caught.value)
