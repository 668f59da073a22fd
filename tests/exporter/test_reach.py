"""A state that acts at the last token and in the upper layers: graphs without what lies below, and named refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.trace.reach import Reach
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import open_session

pytestmark = pytest.mark.traced
FAMILIES = [
    "llama",
    "roberta",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("opt", "gpt2", "gemma2", "distilbert")),
]


def export(folder: Path, out: Path, **options: Any) -> Manifest:
    settings: dict[str, Any] = {"targets": "all", "context_storage": "fp32", "check": True} | options
    return export_bundle(str(folder), str(folder / "task.toml"), out, **settings)


def largest_error(manifest: Manifest) -> float:
    """What the export's own comparison with transformers found."""
    assert manifest.check is not None
    return max(manifest.check.log_probability_error, manifest.check.perturbed_loss_error)


def layers_and_width(manifest: Manifest) -> tuple[int, int]:
    """How many layers carry state, and how wide is what enters the first of them."""
    assert manifest.language_model.context is not None
    return manifest.language_model.context.layers, manifest.language_model.context.entering


@pytest.mark.parametrize("case", FAMILIES)
def test_the_last_token_in_the_last_layer_is_what_transformers_computes(
    folder: Callable[[str], Path], tmp_path: Path, case: str
) -> None:
    manifest = export(folder(case), tmp_path / "out", scope="last", layers=1)
    assert largest_error(manifest) < 1e-5
    assert manifest.language_model.scope == "last"
    assert layers_and_width(manifest) == (1, 32)
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


@pytest.mark.parametrize(
    ("case", "scope", "layers"),
    [
        ("llama", "suffix", 1),
        ("llama", "last", 2),
        ("roberta", "last", None),
        pytest.param("roberta", "suffix", 1, marks=pytest.mark.slow),
    ],
)
def test_tokens_and_layers_of_the_reach_are_chosen_apart(
    folder: Callable[[str], Path], tmp_path: Path, case: str, scope: str, layers: int | None
) -> None:
    manifest = export(folder(case), tmp_path / "out", scope=scope, layers=layers)
    assert largest_error(manifest) < 1e-5
    assert manifest.language_model.scope == scope
    assert layers_and_width(manifest) == ((1, 32) if layers == 1 else (2, 0))


@pytest.mark.parametrize("case", ["llama", "roberta"])
def test_a_classifier_left_to_the_default_is_tuned_at_the_last_token_in_the_upper_half(
    folder: Callable[[str], Path], tmp_path: Path, case: str
) -> None:
    manifest = export(folder(case), tmp_path / "out")
    assert manifest.language_model.scope == "last"
    assert layers_and_width(manifest) == (1, 32)
    assert largest_error(manifest) < 1e-5


def test_a_model_that_shares_its_layers_is_tuned_in_all_of_them_by_default(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    manifest = export(folder("albert, which shares its layers"), tmp_path / "out")
    assert manifest.language_model.scope == "last"
    assert layers_and_width(manifest)[1] == 0


@pytest.mark.parametrize(("count", "first"), [(30, (15, 0)), (5, (2, 0)), (1, (0,)), (None, (0,))])
def test_the_upper_half_is_rounded_up(count: int | None, first: tuple[int, ...]) -> None:
    assert Reach().first_layers(count, completes=False) == first
    assert Reach().first_layers(count, completes=True) == (0,)
    assert Reach("last").first_layers(count, completes=False) == (0,)


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
    assert remedy in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_shares_its_layers_is_refused_where_layers_were_asked_for(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    case = "albert, which shares its layers"
    with pytest.raises(SeedTuneError, match="do not stand in one list") as caught:
        export(folder(case), tmp_path / "out", scope="last", layers=1)
    assert caught.value.remedy == "leave --layers out"
    assert export(folder(case), tmp_path / "out", scope="last").language_model.scope == "last"
