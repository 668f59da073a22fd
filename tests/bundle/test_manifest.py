"""A manifest of another version, of another form or with a layout that does not fit says where it breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_lab import edit, refused

from seedtune.runtime.bundle.manifest import FORMAT_VERSION


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 999])
def test_another_format_version_is_refused(bundle: Path, version: int) -> None:
    edit(bundle, lambda manifest: manifest.update(format_version=version))
    message = refused(bundle)
    assert str(bundle / "manifest.json") in message
    assert str(version) in message
    assert "upgrade" in message


def test_a_newer_version_with_new_fields_is_called_newer_not_broken(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.update(format_version=FORMAT_VERSION + 1, brand_new={"a": 1}, state=""))
    assert "upgrade seedtune" in refused(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["objective"]["model"].update(surprise=1), "surprise"),
        (lambda m: m["objective"].update(surprise=1), "surprise"),
        (lambda m: m["objective"].update(kind="telepathy"), "telepathy"),
        (lambda m: m["objective"].pop("kind"), "kind"),
        (lambda m: m.pop("objective"), "objective"),
        (lambda m: m["state"].update(surprise=1), "surprise"),
        (lambda m: m["state"]["targets"][0].update(surprise=1), "surprise"),
        (lambda m: m["objective"].pop("task"), "task"),
        (lambda m: m["objective"]["model"].pop("hidden_size"), "hidden_size"),
        (lambda m: m.update(storage="int2"), "int2"),
        (lambda m: m["objective"]["model"].update(family="diffusion"), "diffusion"),
        (lambda m: m["objective"].update(label_word_ids=["a"]), "label_word_ids"),
        (lambda m: m.pop("format_version"), "format_version"),
        (lambda m: m.update(format_version="1"), "format_version"),
        (lambda m: m["objective"]["task"].update(max_tokens=0), "max_tokens"),
        (lambda m: m["objective"]["task"].update(labels=[]), "labels"),
        (lambda m: m["files"]["probe.onnx"].update(size_bytes="x"), "size_bytes"),
    ],
)
def test_a_manifest_that_breaks_its_format_says_where(
    bundle: Path, change: Callable[[dict], object], message: str
) -> None:
    edit(bundle, change)
    found = refused(bundle)
    assert message in found
    assert str(bundle / "manifest.json") in found


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe{", b"{}" * 2, b"[" * 100_000])
def test_a_manifest_that_is_no_json_object_is_refused(bundle: Path, raw: bytes) -> None:
    (bundle / "manifest.json").write_bytes(raw)
    assert "manifest.json" in refused(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(parameters=s["parameters"] + 1),
        lambda s: s.update(parameters=32),
        lambda s: s.update(parameters=0),
        lambda s: s.update(targets=[]),
        lambda s: s["targets"][0].update(offset=-32),
        lambda s: s["targets"][1].update(offset=1),
        lambda s: s["targets"][1].update(offset=0),
        lambda s: s["targets"][0].update(out_features=0),
        lambda s: s["targets"][0].update(rank=-4),
        lambda s: s["targets"][-1].update(out_features=10**9),
        lambda s: s["targets"].reverse(),
    ],
)
def test_an_inconsistent_layout_is_refused(bundle: Path, change: Callable[[dict], object]) -> None:
    edit(bundle, lambda manifest: change(manifest["state"]))
    message = refused(bundle)
    assert "state layout" in message
    assert str(bundle / "manifest.json") in message
