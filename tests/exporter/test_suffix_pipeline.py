"""An export of scope "suffix" as a whole: what the bundle says and holds, and what its check sees."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx_ir as ir
import pytest
import torch
from export_lab import random_state
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.reference.check import check_bundle, random_rows
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.bundle.manifest import Storage, describe
from seedtune.runtime.bundle.objective import CONTEXT_TYPES, ContextLayout, ContextStorage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.model.feeders import open_feeder

pytestmark = pytest.mark.traced

GRAPH_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "int8": "tensor(int8)"}


@pytest.fixture(scope="session")
def llama_bundle(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checked bundle; read-only by contract."""
    out = tmp_path_factory.mktemp("bundles") / "llama"
    export_bundle(str(folder("llama")), str(folder("llama") / "task.toml"), out, scope="suffix")
    return out


@pytest.mark.parametrize(
    ("case", "storage", "context_storage"),
    [
        pytest.param("llama", "fp32", "fp32", marks=pytest.mark.slow),
        ("llama", "fp32", "int8"),
        ("llama", "fp16", "fp16"),
        pytest.param("roberta", "fp32", "fp16", marks=pytest.mark.slow),
        ("roberta", "fp16", "int8"),
    ],
)
def test_a_bundle_says_and_holds_what_was_asked_for(
    folder: Callable[[str], Path], tmp_path: Path, case: str, storage: Storage, context_storage: ContextStorage
) -> None:
    source, out = folder(case), tmp_path / "out"
    manifest = export_bundle(
        str(source),
        str(source / "task.toml"),
        out,
        scope="suffix",
        storage=storage,
        context_storage=context_storage,
        targets="all",
    )
    assert manifest.language_model.context == ContextLayout(2, 2 if case == "llama" else 4, 8, context_storage)
    assert (manifest.language_model.scope, manifest.storage) == ("suffix", storage)
    # The measured differences, not the margin that the check allows: rounding by storage.
    allowed = {"fp32": 1e-4, "fp16": 2e-2}[storage] + {"fp32": 0, "fp16": 2e-3, "int8": 5e-2}[context_storage]
    assert manifest.check is not None
    assert max(manifest.check.log_probability_error, manifest.check.perturbed_loss_error) < allowed
    bundle = Bundle.open(out)
    assert bundle.manifest == manifest
    assert {path.name for path in out.iterdir()} == {*manifest.files, "manifest.json"}
    assert "context.onnx" in manifest.files
    expected = GRAPH_TYPES[CONTEXT_TYPES[context_storage]]
    for graph in ("probe", "eval"):
        inputs = {value.name: value.type for value in open_session(bundle.graph_path(graph), 1).get_inputs()}
        assert inputs["keys"] == inputs["values"] == expected
        assert ("key_scales" in inputs) is (context_storage == "int8")
    assert {value.name: value.type for value in open_session(bundle.graph_path("context"), 1).get_outputs()}[
        "keys"
    ] == expected
    assert bundle.compiled_task().encode({"text": "something good"}).suffix is not None


def test_contexts_are_kept_in_half_precision_by_default(llama_bundle: Path) -> None:
    manifest = Bundle.open(llama_bundle).manifest
    assert manifest.language_model.context is not None
    assert manifest.language_model.context.storage == "fp16"


def test_scope_all_has_no_context(folder: Callable[[str], Path], tmp_path: Path) -> None:
    source = folder("llama")
    notices: list[str] = []
    manifest = export_bundle(
        str(source), str(source / "task.toml"), tmp_path / "out", scope="all", notice=notices.append
    )
    assert (manifest.language_model.scope, manifest.language_model.context) == ("all", None)
    assert "context.onnx" not in manifest.files
    assert notices == []


@pytest.mark.parametrize("case", ["llama", "roberta"])
def test_the_module_of_a_state_gives_what_the_bundle_gives(
    folder: Callable[[str], Path], tmp_path: Path, case: str
) -> None:
    """A user's way from a tuned state back to transformers: own model class, own weights, and `SuffixTunedModel`."""
    source = folder(case)
    export_bundle(
        str(source), str(source / "task.toml"), tmp_path / "out", scope="suffix", context_storage="fp32", check=False
    )
    bundle = Bundle.open(tmp_path / "out")
    manifest, rows = bundle.manifest, random_rows(bundle.manifest)
    state = random_state(manifest.state, 5e-2)
    (batch,) = open_feeder(MappedGraphs(bundle), rows).batches(range(len(rows)), 1000)
    (found,) = open_session(bundle.graph_path("eval"), 1).run(["log_probabilities"], {**batch.feeds, "state": state})
    kind = AutoModelForCausalLM if case == "llama" else AutoModelForMaskedLM
    words = manifest.language_model.label_word_ids
    tuned = SuffixTunedModel(
        kind.from_pretrained(source), manifest.language_model.model.family, manifest.state, state, words
    )
    for place, index in enumerate(batch.index):
        row = rows[index]
        suffix = np.isin(np.arange(len(row.ids)), row.suffix)
        with torch.no_grad():
            logits = tuned(*(torch.from_numpy(part[None]) for part in (row.ids, np.ones_like(row.ids), suffix)))
        expected = torch.log_softmax(
            logits[0, row.position, list(manifest.language_model.label_word_ids)], dim=-1
        ).numpy()
        np.testing.assert_allclose(found[place], expected, atol=1e-4)


def altered(bundle: Path, out: Path, change: Callable[[ir.Graph], None], *, hide: bool) -> Path:
    """A copy of ``bundle`` with another context graph; ``hide`` makes the manifest agree with it."""
    shutil.copytree(bundle, out)
    model = ir.load(out / "context.onnx")
    change(model.graph)
    ir.save(model, out / "context.onnx")
    if hide:
        manifest = json.loads((out / "manifest.json").read_text())
        entry = describe(out / "context.onnx")
        manifest["files"]["context.onnx"] = {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
        (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def swap_keys_and_values(graph: ir.Graph) -> None:
    keys, values = graph.outputs
    keys.name, values.name = "other", "keys"
    keys.name = "values"


def shift_positions(graph: ir.Graph) -> None:
    """Positions from 1 instead of 0: a context that stands in another place."""
    node = next(node for node in graph if node.op_type == "Range")
    start = ir.Value(
        name="one",
        type=ir.TensorType(ir.DataType.INT64),
        shape=ir.Shape([]),
        const_value=ir.tensor(np.array(1, np.int64), name="one"),
    )
    later = ir.node("Add", [node.outputs[0], start])
    ir.convenience.replace_all_uses_with(node.outputs[0], later.outputs[0])
    later.replace_input_with(0, node.outputs[0])
    graph.register_initializer(start)
    graph.insert_after(node, later)


def change_nothing(graph: ir.Graph) -> None:
    graph.doc_string = "the same"


@pytest.mark.parametrize("change", [swap_keys_and_values, shift_positions])
def test_the_check_sees_an_altered_context_graph(
    folder: Callable[[str], Path], llama_bundle: Path, tmp_path: Path, change: Callable[[ir.Graph], None]
) -> None:
    checkpoint = open_checkpoint(str(folder("llama")))
    with pytest.raises(SeedTuneError, match=r"truncated|longer|altered") as caught:
        check_bundle(altered(llama_bundle, tmp_path / "open", change, hide=False), checkpoint, {})
    assert Path(str(caught.value.file)).name == "context.onnx"
    check_bundle(altered(llama_bundle, tmp_path / "same", change_nothing, hide=True), checkpoint, {})
    with pytest.raises(SeedTuneError, match="do not compute what transformers computes"):
        check_bundle(altered(llama_bundle, tmp_path / "hidden", change, hide=True), checkpoint, {})


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_the_rows_of_the_check_split_everywhere(llama_bundle: Path, family: str) -> None:
    manifest = Bundle.open(llama_bundle).manifest
    model = msgspec.structs.replace(manifest.language_model.model, family=family)
    objective = msgspec.structs.replace(manifest.language_model, model=model)
    rows = random_rows(msgspec.structs.replace(manifest, objective=objective))
    suffixes = [row.suffix for row in rows if row.suffix is not None]
    assert len({len(suffix) for suffix in suffixes}) > 1
    for row, suffix in zip(rows, suffixes, strict=True):
        assert row.position in suffix
        assert 0 < len(suffix) < len(row.ids)
    at_end = [
        list(suffix) == list(range(len(row.ids) - len(suffix), len(row.ids)))
        for row, suffix in zip(rows, suffixes, strict=True)
    ]
    assert all(at_end) is (family == "causal")
