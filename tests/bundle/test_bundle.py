"""A bundle is used only as it was exported: whatever is missing, altered or from elsewhere is named."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest
from bundle_lab import edit, refused
from tokenizers import Tokenizer

from seedtune.runtime.bundle.manifest import decode_manifest, describe, encode_manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import open_session

FILES = ("probe.onnx", "eval.onnx", "update.onnx", "weights.safetensors", "tokenizer.json", "stages.json")


def stage_graphs(bundle: Path) -> set[str]:
    return {path.name for path in bundle.glob("*.stage*.onnx")}


def test_a_bundle_is_its_files_and_stage_graphs_that_open(tiny_bundle: Path) -> None:
    graphs = stage_graphs(tiny_bundle)
    assert {name.partition(".")[0] for name in graphs} == {"probe", "eval"}
    assert {entry.name for entry in tiny_bundle.iterdir()} == {*FILES, "manifest.json"} | graphs
    bundle = Bundle.open(tiny_bundle)
    raw = (tiny_bundle / "manifest.json").read_bytes()
    assert bundle.sha256 == hashlib.sha256(raw).hexdigest()
    assert bundle.compiled_task().label_word_ids == bundle.manifest.language_model.label_word_ids
    for graph in ("probe", "eval", "update"):
        assert open_session(bundle.graph_path(graph), 1).get_outputs()


def test_the_manifest_lists_sizes_and_hashes_as_hashlib_sees_them(tiny_bundle: Path) -> None:
    listed = json.loads((tiny_bundle / "manifest.json").read_text())["files"]
    assert set(listed) == {*FILES, *stage_graphs(tiny_bundle)}
    for name, entry in listed.items():
        raw = (tiny_bundle / name).read_bytes()
        assert entry == {"size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_the_manifest_survives_a_round_trip(tiny_bundle: Path) -> None:
    raw = (tiny_bundle / "manifest.json").read_bytes()
    manifest = decode_manifest(raw, tiny_bundle)
    assert encode_manifest(manifest) == raw


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert name in refused(bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, -1])
def test_a_truncated_file_is_named_with_both_sizes(bundle: Path, name: str, keep: int) -> None:
    raw = (bundle / name).read_bytes()
    (bundle / name).write_bytes(raw[:keep] if keep else b"")
    message = refused(bundle)
    assert f"{bundle / name}: a file of the bundle is truncated" in message
    assert f"{len(raw):,} bytes" in message


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file_is_named(bundle: Path, name: str) -> None:
    with (bundle / name).open("ab") as file:
        file.write(b"\0")
    assert f"{bundle / name}: " in refused(bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_flipped_bit_is_found(bundle: Path, name: str, place: float) -> None:
    raw = bytearray((bundle / name).read_bytes())
    raw[int(place * (len(raw) - 1))] ^= 1
    (bundle / name).write_bytes(raw)
    assert f"{bundle / name}: a file of the bundle has been altered" in refused(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_symlinked_file_is_refused(bundle: Path, tiny_bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    (bundle / name).symlink_to(tiny_bundle / name)
    assert name in refused(bundle)


def test_a_folder_or_a_device_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "tokenizer.json").unlink()
    (bundle / "tokenizer.json").mkdir()
    assert "tokenizer.json" in refused(bundle)
    (bundle / "tokenizer.json").rmdir()
    os.mkfifo(bundle / "tokenizer.json")
    assert "tokenizer.json" in refused(bundle)


def test_a_named_pipe_for_a_manifest_does_not_hang(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    os.mkfifo(bundle / "manifest.json")
    assert "manifest.json" in refused(bundle)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "extra.bin", "", ".", "sub/weights.safetensors"])
def test_a_manifest_cannot_name_other_files(bundle: Path, name: str) -> None:
    (bundle.parent / "x").write_bytes(b"outside")
    entry = {"size_bytes": 7, "sha256": hashlib.sha256(b"outside").hexdigest()}
    edit(bundle, lambda manifest: manifest["files"].update({name: entry}))
    assert "lists other files" in refused(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_manifest_must_name_every_file(bundle: Path, name: str) -> None:
    edit(bundle, lambda manifest: manifest["files"].pop(name))
    message = refused(bundle)
    assert "lists other files" in message
    assert name in message


def accept(bundle: Path, name: str) -> None:
    """Makes the manifest list ``name`` as it is now."""
    edit(bundle, lambda manifest: manifest["files"].update({name: msgspec.to_builtins(describe(bundle / name))}))


def test_an_exchanged_tokenizer_with_a_matching_hash_is_refused_for_its_label_words(bundle: Path) -> None:
    path = bundle / "tokenizer.json"
    spec = json.loads(path.read_text())
    vocabulary = spec["model"]["vocab"]
    first, second = "\u0120negative", "\u0120positive"
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(spec))
    Tokenizer.from_file(str(path))
    accept(bundle, "tokenizer.json")
    with pytest.raises(SeedTuneError, match=r"tokenizer\.json: .*other ids"):
        Bundle.open(bundle).compiled_task()


@pytest.mark.parametrize("raw", [b"{}", b"not json", b"\xff", b""])
def test_a_tokenizer_that_is_none_is_named(bundle: Path, raw: bytes) -> None:
    (bundle / "tokenizer.json").write_bytes(raw)
    accept(bundle, "tokenizer.json")
    with pytest.raises(SeedTuneError, match=r"tokenizer\.json: the tokenizer cannot be read"):
        Bundle.open(bundle).compiled_task()


@pytest.mark.parametrize("raw", [b"", b"not a graph", b"\x08\x0a"])
def test_a_graph_that_is_none_is_named(bundle: Path, raw: bytes) -> None:
    (bundle / "probe.onnx").write_bytes(raw)
    accept(bundle, "probe.onnx")
    with pytest.raises(SeedTuneError, match=r"probe\.onnx: (ONNX Runtime cannot open|the graph is no ONNX file)"):
        open_session(Bundle.open(bundle).graph_path("probe"))


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd"])
def test_a_graph_cannot_read_outside_its_folder(bundle: Path, location: str) -> None:
    onnx = pytest.importorskip("onnx")
    (bundle.parent / "secret").write_bytes(bytes(1 << 20))
    model = onnx.load(bundle / "eval.onnx", load_external_data=False)
    changed = 0
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value, changed = location, changed + 1
    assert changed
    (bundle / "eval.onnx").write_bytes(model.SerializeToString())
    accept(bundle, "eval.onnx")
    with pytest.raises(SeedTuneError, match=r"eval\.onnx"):
        open_session(Bundle.open(bundle).graph_path("eval"))


def test_what_is_no_bundle_is_named(tmp_path: Path) -> None:
    assert "no such bundle folder" in refused(tmp_path / "gone")
    assert "not a bundle" in refused(tmp_path)


def test_weights_need_not_be_hashed_but_their_size_is_compared(bundle: Path) -> None:
    path = bundle / "weights.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert Bundle.open(bundle, verify_weights=False).path == bundle
    path.write_bytes(raw[:-1])
    with pytest.raises(SeedTuneError, match="truncated"):
        Bundle.open(bundle, verify_weights=False)


def test_a_stage_graph_that_is_missing_or_altered_is_named(bundle: Path) -> None:
    name = min(stage_graphs(bundle))
    raw = (bundle / name).read_bytes()
    (bundle / name).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert f"{bundle / name}: a file of the bundle has been altered" in refused(bundle)
    (bundle / name).unlink()
    assert name in refused(bundle)


def test_stages_that_name_a_file_outside_the_bundle_are_refused(bundle: Path) -> None:
    stages = json.loads((bundle / "stages.json").read_text())
    stages["graphs"]["eval"][0]["graph"] = "../probe.onnx"
    (bundle / "stages.json").write_text(json.dumps(stages))
    accept(bundle, "stages.json")
    assert "the stages do not fit together" in refused(bundle)
