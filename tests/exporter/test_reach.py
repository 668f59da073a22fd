"""A state that acts at the last token and in the upper layers: graphs without what lies below, and named refusals."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from export_lab import random_model, save_folder
from suffix_families import config_of

from seedtune.exporter.pipeline import export_bundle
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import open_session

pytestmark = pytest.mark.traced
FAMILIES = ["llama", "opt", "gpt2", "gemma2", "roberta", "distilbert"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the saved model of a family, of two layers; read-only by contract."""
    root = tmp_path_factory.mktemp("reach")

    def give(case: str) -> Path:
        if not (root / case).exists():
            family, config = config_of(case)
            save_folder(root / case, random_model(config, family))
        return root / case

    return give


def export(folder: Path, out: Path, **options: object) -> Manifest:
    settings = {"targets": "all", "prefix_storage": "fp32", "check": True} | options
    return export_bundle(str(folder), str(folder / "task.toml"), out, **settings)


@pytest.mark.parametrize("case", FAMILIES)
def test_the_last_token_in_the_last_layer_is_what_transformers_computes(
    folder: Callable[[str], Path], tmp_path: Path, case: str
) -> None:
    manifest = export(folder(case), tmp_path / "out", scope="last", layers=1)
    assert manifest.check.log_probability_error < 1e-5
    assert manifest.check.perturbed_loss_error < 1e-5
    assert manifest.objective.scope == "last"
    assert (manifest.objective.prefix.layers, manifest.objective.prefix.entering) == (1, 32)
    # Of two layers only the second has targets, and every family numbers its layers.
    assert not any(".0." in target.name for target in manifest.state.targets)
    bundle = Bundle.open(tmp_path / "out")
    for graph in ("probe", "eval"):
        inputs = {value.name for value in open_session(bundle.graph_path(graph), 1).get_inputs()}
        assert "ids" not in inputs
        assert "entering" in inputs
        names = {
            tensor.name for tensor in onnx.load(bundle.graph_path(graph), load_external_data=False).graph.initializer
        }
        assert not any(".0." in name for name in names)
        assert any(".1." in name for name in names)


@pytest.mark.parametrize(("scope", "layers"), [("suffix", 1), ("last", None), ("last", 2)])
@pytest.mark.parametrize("case", ["llama", "roberta"])
def test_tokens_and_layers_of_the_reach_are_chosen_apart(
    folder: Callable[[str], Path], tmp_path: Path, case: str, scope: str, layers: int | None
) -> None:
    manifest = export(folder(case), tmp_path / "out", scope=scope, layers=layers)
    assert manifest.check.log_probability_error < 1e-5
    assert manifest.check.perturbed_loss_error < 1e-5
    assert manifest.objective.scope == scope
    assert (manifest.objective.prefix.layers, manifest.objective.prefix.entering) == (
        (1, 32) if layers == 1 else (2, 0)
    )


@pytest.mark.parametrize(
    ("options", "message", "remedy"),
    [
        ({"scope": "last", "layers": 3}, "the model has not so many layers", "--layers 1"),
        ({"scope": "last", "layers": 0}, "a state needs a layer to act in", "--layers 1"),
        ({"scope": "last", "layers": -1}, "a state needs a layer to act in", "--layers 1"),
        ({"scope": "all", "layers": 1}, "with scope all nothing of a row is kept", "--scope last"),
    ],
)
def test_layers_that_cannot_be_are_refused_and_nothing_is_written(
    folder: Callable[[str], Path], tmp_path: Path, options: dict[str, object], message: str, remedy: str
) -> None:
    with pytest.raises(SeedTuneError, match=message) as caught:
        export(folder("llama"), tmp_path / "out", **options)
    assert remedy in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_shares_its_layers_is_refused_where_layers_were_asked_for(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    case = "albert, which shares its layers"
    with pytest.raises(SeedTuneError, match="do not stand in one list") as caught:
        export(folder(case), tmp_path / "out", scope="last", layers=1)
    assert caught.value.remedy == "leave --layers out"
    assert export(folder(case), tmp_path / "out", scope="last").objective.prefix.entering == 0
