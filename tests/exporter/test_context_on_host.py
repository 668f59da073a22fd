"""What only contexts are computed with, in files of its own: the same tensors and graphs, each stored once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

from seedtune.exporter.passes.own_label_rows import LABEL_ROWS
from seedtune.exporter.pipeline import export_bundle
from seedtune.runtime.bundle.host_files import CONTEXT_WEIGHTS
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.objective import WEIGHTS
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls

pytestmark = pytest.mark.traced
REACH: dict[str, Any] = {"scope": "last", "layers": 1}


def export(folder: Path, out: Path, **options: Any) -> Manifest:
    settings: dict[str, Any] = {"targets": "all", "context_on_host": True, "check": False} | options
    return export_bundle(str(folder), str(folder / "task.toml"), out, **settings)


def external_files(graph: Path) -> set[str]:
    """The files of weights that a graph points into."""
    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


@pytest.mark.parametrize(
    ("family", "storage"), [("causal", "fp32"), ("causal", "int8"), ("masked", "int4"), ("masked", "fp16")]
)
def test_both_files_together_hold_what_the_one_file_holds_and_nothing_twice(
    bundle_of: Callable[..., Path], family: str, storage: str
) -> None:
    whole = bundle_of(family, "last", "fp16", storage, 1)
    apart = bundle_of(family, "last", "fp16", storage, 1, True)
    expected = load_file(whole / WEIGHTS)
    common, of_context = load_file(apart / WEIGHTS), load_file(apart / CONTEXT_WEIGHTS)
    assert not common.keys() & of_context.keys()
    words = list(Bundle.open(apart).manifest.language_model.label_word_ids)
    of_words = {name: common.pop(name) for name in list(common) if LABEL_ROWS in name}
    # What of the whole bundle is in neither file is read by its label rows only (a bias of the vocabulary).
    assert expected.keys() - (common | of_context).keys() <= {name.replace(LABEL_ROWS, "") for name in of_words}
    for name, array in (common | of_context).items():
        assert np.array_equal(array, expected[name]), name
    # The head is tied to the embedding: the desk has the table, and the phone what it needs of it.
    assert of_words
    for name, array in of_words.items():
        assert np.array_equal(array, expected[name.replace(LABEL_ROWS, "")][words]), name
    # Every matrix of the layer below the reach is left to the desk, and nothing of the layer in reach.
    assert all(".0." not in name for name in common)
    assert all(".1." not in name for name in of_context)
    vocabulary = Bundle.open(apart).manifest.language_model.model.vocabulary_size
    assert not [name for name, array in common.items() if vocabulary in array.shape]


@pytest.mark.parametrize(("family", "storage"), [("causal", "fp32"), ("causal", "int8"), ("masked", "fp16")])
def test_losses_are_those_of_the_whole_table_bit_for_bit(
    bundle_of: Callable[..., Path], family: str, storage: str
) -> None:
    found = []
    for on_host in (False, True):
        bundle = Bundle.open(bundle_of(family, "last", "fp16", storage, 1, on_host))
        rows = [bundle.compiled_task().encode({"text": text}, 1) for text in ("a good film", "a dull song and a book")]
        calls = SingleCalls(bundle)
        batch = calls.batch(rows, 1000)
        state = np.random.default_rng(1).standard_normal(bundle.manifest.state.parameters).astype(np.float32) * 0.05
        shared = {"state": state, "seed": np.array([3], np.int64), "epsilon": np.array([1e-2], np.float32)}
        losses = calls.outputs("probe", ["loss_plus", "loss_minus"], batch, shared)
        found.append([*losses, *calls.outputs("eval", ["loss", "log_probabilities"], batch, {"state": state})])
    assert all(map(np.array_equal, *found))


def test_only_the_graph_of_contexts_points_into_the_file_of_the_desk(bundle_of: Callable[..., Path]) -> None:
    bundle = Bundle.open(bundle_of("causal", "last", "fp16", "fp32", 1, True))
    for graph in ("probe", "eval"):
        assert external_files(bundle.graph_path(graph)) == {WEIGHTS}
    assert CONTEXT_WEIGHTS in external_files(bundle.graph_path("context"))
    stages = {stage.graph for stage in bundle.plan.graphs["context"]}
    assert set(bundle.manifest.host_files) == {"context.onnx", CONTEXT_WEIGHTS, *stages}
    assert not stages & set(bundle.plan.without("context").files)


def test_the_comparison_with_transformers_holds_and_a_replaced_bundle_leaves_no_file_behind(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    manifest = export(folder("llama"), tmp_path / "out", check=True, context_storage="fp32", **REACH)
    assert manifest.check is not None
    assert max(manifest.check.log_probability_error, manifest.check.perturbed_loss_error) < 1e-5
    assert manifest.phone_bytes + manifest.host_bytes == sum(file.size_bytes for file in manifest.files.values())
    assert manifest.host_bytes > (tmp_path / "out" / CONTEXT_WEIGHTS).stat().st_size > 0
    export(folder("llama"), tmp_path / "out", overwrite=True, context_on_host=False, **REACH)
    assert not (tmp_path / "out" / CONTEXT_WEIGHTS).exists()
    assert Bundle.open(tmp_path / "out").manifest.host_files == ()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"scope": "all"}, "scope all"),
        ({"scope": "last"}, "all layers"),
        ({"scope": "suffix"}, "all layers"),
        ({"scope": "last", "layers": 2}, "--layers 2"),
        ({"scope": "suffix", "layers": 2}, "--layers 2"),
    ],
)
def test_where_nothing_would_be_left_to_the_desk_the_export_is_refused(
    folder: Callable[[str], Path], tmp_path: Path, options: dict[str, Any], found: str
) -> None:
    with pytest.raises(SeedTuneError, match="nothing could be left to the desk") as caught:
        export(folder("llama"), tmp_path / "out", **options)
    assert found in str(caught.value.value)
    assert "--context-on-host" in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == []
