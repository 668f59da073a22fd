"""GGUF files: the stream equals transformers' own dequantised model bit for bit."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader
from tiny_gguf import write_gguf
from tiny_models import fill, make_model, outputs

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.checkpoint.gguf.header import read_header
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

KINDS = [
    GGMLQuantizationType.F32,
    GGMLQuantizationType.F16,
    GGMLQuantizationType.BF16,
    GGMLQuantizationType.Q8_0,
    GGMLQuantizationType.Q4_0,
    GGMLQuantizationType.Q4_1,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["llama_tied", "llama_untied"])
def test_stream_equals_reference(tmp_path: Path, kind: GGMLQuantizationType, name: str) -> None:
    model = make_model(name)
    checkpoint = open_checkpoint(str(write_gguf(tmp_path / "tiny.gguf", model, kind)))
    reference = checkpoint.reference()
    wanted = dict(reference.named_parameters())
    tensors = dict(checkpoint.tensors())
    assert tensors.keys() == wanted.keys()
    for key, value in wanted.items():
        assert tensors[key].dtype == torch.float32
        assert torch.equal(tensors[key], value), key
    filled = fill(checkpoint.skeleton(), tensors)
    assert torch.equal(outputs(filled), outputs(reference))
    if kind == GGMLQuantizationType.F32:
        # The original model too, which ties down the permutation that the test's writer and the reader undo.
        torch.testing.assert_close(outputs(filled), outputs(model), rtol=1e-5, atol=1e-6)


def test_header_equals_ggufs_reader(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", make_model("llama_untied"), GGMLQuantizationType.Q4_0)
    header, reader = read_header(path), GGUFReader(path)
    assert [tensor.name for tensor in header.tensors] == [tensor.name for tensor in reader.tensors]
    for ours, theirs in zip(header.tensors, reader.tensors, strict=True):
        assert ours.tensor_type == theirs.tensor_type
        assert ours.data.dtype == theirs.data.dtype
        assert np.array_equal(ours.data, theirs.data)
    scalars = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.") and field.types[0].name != "ARRAY"
    }
    assert header.fields == scalars


def test_what_the_exporter_asks(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", make_model("llama_tied"), GGMLQuantizationType.F32)
    checkpoint = open_checkpoint(str(path))
    assert (checkpoint.family, checkpoint.padding_id, checkpoint.max_positions) == ("causal", 1, 40)
    assert checkpoint.tokenizer.truncation is None
    assert checkpoint.tokenizer.encode("bab", add_special_tokens=False).tokens == ["b", "ab"]


def test_smollm_splits_digits_first(tmp_path: Path) -> None:
    model = make_model("llama_tied")
    other = open_checkpoint(str(write_gguf(tmp_path / "other.gguf", model, GGMLQuantizationType.F32)))
    smollm = open_checkpoint(
        str(write_gguf(tmp_path / "s.gguf", model, GGMLQuantizationType.F32, pre_tokenizer="smollm"))
    )

    def pieces(checkpoint: Checkpoint) -> list[str]:
        return [piece for piece, _ in checkpoint.tokenizer.pre_tokenizer.pre_tokenize_str("a  12")]

    assert pieces(other) == ["a", "Ġ", "Ġ12"]
    assert pieces(smollm) == ["a", "ĠĠ", "1", "2"]


@pytest.mark.parametrize("keep", [0, 3, 20, 4_000, -1])
def test_truncated(tmp_path: Path, keep: int) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", make_model("llama_tied"), GGMLQuantizationType.Q8_0)
    # The writer pads the last tensor, so a single missing byte may be padding; a block is not.
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep >= 0 else len(content) - 64])
    with pytest.raises(SeedTuneError, match="damaged or was cut short") as caught:
        open_checkpoint(str(path))
    assert caught.value.file == str(path)


def test_hostile_headers(tmp_path: Path) -> None:
    """Lengths that point far outside the file end in an error, not in an allocation."""
    path = write_gguf(tmp_path / "tiny.gguf", make_model("llama_tied"), GGMLQuantizationType.F32)
    content = bytearray(path.read_bytes())
    for position in (4, 8, 16, 24, 40):
        spoilt = content.copy()
        spoilt[position : position + 4] = b"\xff" * 4
        spoilt[position + 4 : position + 8] = b"\xff\xff\xff\x7f" if position > 4 else spoilt[8:12]
        path.write_bytes(spoilt)
        with pytest.raises(SeedTuneError, match="damaged"):
            open_checkpoint(str(path))


def test_nested_arrays_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<I", 9)
    path = tmp_path / "deep.gguf"
    path.write_bytes(start + struct.pack("<IQ", 9, 1) * 100_000)
    with pytest.raises(SeedTuneError, match="an array of arrays"):
        open_checkpoint(str(path))


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    model = make_model("llama_untied")
    path = write_gguf(tmp_path / "tiny.gguf", model, GGMLQuantizationType.F32, without="blk.1.ffn_up.weight")
    with pytest.raises(SeedTuneError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        open_checkpoint(str(path)).tensors()


def test_not_finite_is_named(tmp_path: Path) -> None:
    model = make_model("llama_untied")
    with torch.no_grad():
        model.model.norm.weight[3] = torch.nan
    path = write_gguf(tmp_path / "tiny.gguf", model, GGMLQuantizationType.F32)
    with pytest.raises(SeedTuneError, match=r"model\.norm\.weight holds values that are not finite"):
        list(open_checkpoint(str(path)).tensors())


def test_split_file(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", make_model("llama_tied"), GGMLQuantizationType.F32, parts=2)
    with pytest.raises(SeedTuneError, match="one part of a split GGUF"):
        open_checkpoint(str(path))


def test_unknown_architecture(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", make_model("llama_tied"), GGMLQuantizationType.F32)
    # Of the same length, so that the rest of the header stays where it is.
    path.write_bytes(path.read_bytes().replace(b"llama", b"lamas"))
    with pytest.raises(SeedTuneError, match="cannot convert this GGUF") as caught:
        open_checkpoint(str(path))
    assert caught.value.value == "lamas"
