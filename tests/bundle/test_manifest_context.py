"""Where the state acts, as a manifest says it: older bundles, and context layouts that no bundle has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seedtune.runtime.bundle.manifest import FORMAT_VERSION, decode_manifest, encode_manifest
from seedtune.runtime.bundle.objective import ContextLayout, ContextStorage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.model.feeders import open_feeder


def edited(bundle: Path, tmp_path: Path, change: Callable[[dict], object]) -> Path:
    """A copy of ``bundle`` whose manifest ``change`` has edited."""
    out = Path(shutil.copytree(bundle, tmp_path / "edited"))
    manifest = json.loads((out / "manifest.json").read_text())
    change(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION))
def test_an_older_version_is_refused_with_what_to_do(tiny_bundle: Path, tmp_path: Path, version: int) -> None:
    path = edited(tiny_bundle, tmp_path, lambda manifest: manifest.update(format_version=version))
    with pytest.raises(SeedTuneError, match="does not read") as caught:
        Bundle.open(path)
    assert caught.value.remedy == "export the bundle again with this version"


def test_a_bundle_of_scope_all_has_no_context(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert (bundle.manifest.language_model.scope, bundle.manifest.language_model.context) == ("all", None)
    assert set(bundle.manifest.graphs) == {"probe", "eval", "update"}
    assert bundle.compiled_task().encode({"text": "a good film"}).suffix is None
    with pytest.raises(KeyError):
        open_session(bundle.graph_path("context"))


def test_a_suffix_bundle_lists_its_context_graph_and_survives_a_round_trip(suffix_bundle: Path) -> None:
    raw = (suffix_bundle / "manifest.json").read_bytes()
    manifest = decode_manifest(raw, suffix_bundle)
    assert encode_manifest(manifest) == raw
    assert manifest.language_model.scope == "suffix"
    assert manifest.language_model.context == ContextLayout(layers=2, key_heads=2, head_size=8, storage="fp16")
    assert manifest.graphs["context"] == "context.onnx"
    assert "context.onnx" in manifest.files


@pytest.mark.parametrize("family", ["causal", "masked"])
@pytest.mark.parametrize("storage", ["fp32", "int8"])
def test_bytes_per_token_are_those_of_what_the_context_graph_returns(
    bundle_of: Callable[..., Path], family: str, storage: str
) -> None:
    bundle = Bundle.open(bundle_of(family, "suffix", storage))
    session = open_session(bundle.graph_path("context"), 1)
    ids = np.array([[0, 5, 6, 7, 8]], np.int64)
    outputs = session.run(None, {"ids": ids, "mask": np.ones_like(ids)})
    layout = bundle.manifest.language_model.context
    assert layout is not None
    assert sum(array.nbytes for array in outputs) == 5 * layout.bytes_per_token


@pytest.mark.parametrize(
    ("storage", "expected"), [("fp32", 2 * 3 * 5 * 7 * 4), ("fp16", 2 * 3 * 5 * 7 * 2), ("int8", 2 * 3 * 5 * (7 + 2))]
)
def test_bytes_per_token_by_hand(storage: ContextStorage, expected: int) -> None:
    assert ContextLayout(layers=3, key_heads=5, head_size=7, storage=storage).bytes_per_token == expected


@pytest.mark.parametrize("name", ["layers", "key_heads", "head_size"])
@pytest.mark.parametrize("value", [0, -1, (1 << 16) + 1, 2**62, 10**30])
def test_an_absurd_context_layout_is_refused(suffix_bundle: Path, tmp_path: Path, name: str, value: int) -> None:
    spoilt = edited(suffix_bundle, tmp_path, lambda manifest: manifest["objective"]["context"].update({name: value}))
    with pytest.raises(SeedTuneError, match="context layout is out of range") as caught:
        Bundle.open(spoilt)
    assert str(value) in str(caught.value)
    assert str(spoilt / "manifest.json") in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda context: context.update(storage="int4"), "int4"),
        (lambda context: context.update(storage=None), "storage"),
        (lambda context: context.pop("layers"), "layers"),
        (lambda context: context.update(layers="2"), "layers"),
        (lambda context: context.update(head_size=8.5), "head_size"),
        (lambda context: context.update(surprise=1), "surprise"),
    ],
)
def test_a_context_layout_that_breaks_its_format_says_where(
    suffix_bundle: Path, tmp_path: Path, change: Callable[[dict], object], message: str
) -> None:
    spoilt = edited(suffix_bundle, tmp_path, lambda manifest: change(manifest["objective"]["context"]))
    with pytest.raises(SeedTuneError, match=message) as caught:
        Bundle.open(spoilt)
    assert caught.value.file == str(spoilt / "manifest.json")


def with_context(context: dict | None, scope: str) -> Callable[[dict], None]:
    """Puts ``context`` and ``scope`` into a manifest."""
    return lambda manifest: manifest["objective"].update(context=context, scope=scope)


def test_scope_and_files_must_agree(suffix_bundle: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """A context layout without the graph, and graphs that need a layout without one."""
    layout = json.loads((suffix_bundle / "manifest.json").read_text())["objective"]["context"]
    needing = ["context.onnx", "gradient.onnx"]
    for bundle, context, scope, strange in (
        (tiny_bundle, layout, "last", needing[:1]),
        (suffix_bundle, None, "all", needing),
    ):
        spoilt = edited(bundle, tmp_path / bundle.parent.name, with_context(context, scope))
        with pytest.raises(SeedTuneError, match="lists other files") as caught:
            Bundle.open(spoilt)
        assert caught.value.value == strange


@pytest.mark.parametrize("scope", ["all", "everywhere"])
def test_a_scope_that_the_contexts_contradict_or_that_there_is_not_is_refused(
    suffix_bundle: Path, tmp_path: Path, scope: str
) -> None:
    spoilt = edited(suffix_bundle, tmp_path, lambda manifest: manifest["objective"].update(scope=scope))
    with pytest.raises(SeedTuneError, match="scope") as caught:
        Bundle.open(spoilt)
    assert caught.value.file == str(spoilt / "manifest.json")


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_spoilt_context_graph_is_named(suffix_bundle: Path, tmp_path: Path, damage: str) -> None:
    spoilt = edited(suffix_bundle, tmp_path, lambda _manifest: None)
    raw = bytearray((spoilt / "context.onnx").read_bytes())
    raw[len(raw) // 2] ^= 1
    (spoilt / "context.onnx").unlink()
    if damage != "missing":
        (spoilt / "context.onnx").write_bytes(raw if damage == "flipped" else raw[:-1])
    with pytest.raises(SeedTuneError, match=r"context\.onnx"):
        Bundle.open(spoilt)


def test_a_bundle_of_scope_all_is_fed_whole_rows_and_has_no_contexts(tiny_bundle: Path) -> None:
    from seedtune.runtime.context.contexts import Contexts

    bundle = Bundle.open(tiny_bundle)
    assert type(open_feeder(MappedGraphs(bundle), [])).__name__ == "WholeRows"
    with pytest.raises(ValueError, match='scope "all"'):
        Contexts(MappedGraphs(bundle), [])
