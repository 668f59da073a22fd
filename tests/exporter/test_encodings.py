"""What is stored stands for the matrix within the error that its bits allow, whatever lies in it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from seedtune.exporter.storage import encodings
from seedtune.exporter.storage.encodings import INT4_BLOCK, Encoding, Kind, decoded
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

GENERATOR = np.random.default_rng(3)
INT8 = [Encoding("int8"), Encoding("int8", 0, True), Encoding("int8", 1)]


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_half_precision_is_torchs_own(kind: Kind) -> None:
    matrix = normal(7, 12) * 3
    dtype = torch.float16 if kind == "fp16" else torch.bfloat16
    expected = torch.from_numpy(matrix).to(dtype).float().numpy()
    np.testing.assert_array_equal(decoded(Encoding(kind), matrix), expected)
    np.testing.assert_array_equal(decoded(Encoding(kind), torch.from_numpy(matrix)), expected)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_a_checkpoint_of_the_same_type_is_stored_bit_for_bit(kind: Kind) -> None:
    matrix = torch.from_numpy(normal(5, 8)).to(torch.float16 if kind == "fp16" else torch.bfloat16)
    ((_, stored),) = Encoding(kind).encode("w", matrix)
    assert stored.tobytes() == matrix.view(torch.int16).numpy().tobytes()


@pytest.mark.parametrize("encoding", INT8, ids=str)
def test_int8_is_within_half_a_step_of_each_channel(encoding: Encoding) -> None:
    matrix = normal(6, 40) if encoding.channel_axis == 0 else normal(40, 6)
    channels = matrix if encoding.channel_axis == 0 else matrix.T
    channels[2] *= 1000
    channels[3, 5] = 50
    channels[4] = 0
    found = decoded(encoding, matrix)
    found = found if encoding.channel_axis == 0 else found.T
    step = np.abs(channels).max(axis=1) / 127
    assert (np.abs(found - channels) <= step[:, None] * 0.5001).all()
    # An outlier stays in its channel.
    assert np.abs(found[0] - channels[0]).max() < 0.02
    assert not found[4].any()


@pytest.mark.parametrize("encoding", INT8, ids=str)
def test_int8_parts_have_the_announced_types_and_shapes(encoding: Encoding) -> None:
    matrix = normal(6, 40)
    announced = encoding.parts((6, 40))
    parts = dict(encoding.encode("w", matrix))
    assert {name: (ir.DataType.from_numpy(part.dtype), part.shape) for name, part in parts.items()} == announced
    assert all(part.flags.c_contiguous for part in parts.values())


def test_int4_is_within_a_step_of_each_block_and_keeps_its_extreme() -> None:
    matrix = normal(5, 4 * INT4_BLOCK)
    matrix[1, 3] = -40
    matrix[2] = 0
    matrix[3] = 1e-9
    found = decoded(Encoding("int4"), matrix)
    blocks, stored = (array.reshape(5, 4, INT4_BLOCK) for array in (matrix, found))
    extreme = np.abs(blocks).max(axis=2)
    # Codes reach 8 steps to the side of the extreme and 7 to the other; the scale is a float16.
    assert (np.abs(stored - blocks) <= extreme[:, :, None] / 8 * 1.01 + 1e-6).all()
    assert found[1, 3] == pytest.approx(-40, rel=1e-3)
    assert np.abs(found[1, INT4_BLOCK:] - matrix[1, INT4_BLOCK:]).max() < 0.5
    assert not found[2].any()


def test_int4_packs_the_earlier_value_into_the_lower_half() -> None:
    matrix = np.zeros((1, INT4_BLOCK), np.float32)
    matrix[0, :4] = [-8, 3, 0, 7]
    parts = dict(Encoding("int4").encode("w", matrix))
    assert parts[".scale"].tolist() == [[1.0]]
    assert parts[""][0, :2].tolist() == [0x38, 0x70]
    announced = Encoding("int4").parts((1, INT4_BLOCK))
    assert announced[""] == (ir.DataType.INT4, (1, INT4_BLOCK))
    assert announced[".scale"] == (ir.DataType.FLOAT16, (1, 1))


@pytest.mark.parametrize("encoding", [Encoding("int8"), Encoding("int8", 0, True), Encoding("int4")], ids=str)
def test_a_matrix_in_many_chunks_is_the_same(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = normal(37, 2 * INT4_BLOCK)
    whole = {name: part.tobytes() for name, part in encoding.encode("w", matrix)}
    monkeypatch.setattr(encodings, "CHUNK_VALUES", 5 * 2 * INT4_BLOCK)
    assert {name: part.tobytes() for name, part in encoding.encode("w", torch.from_numpy(matrix))} == whole


def test_a_value_beyond_half_precision_is_refused_by_fp16_and_kept_by_bf16() -> None:
    matrix = normal(2, 4)
    matrix[1, 1] = -1e6
    with pytest.raises(SeedTuneError, match="does not fit half precision") as caught:
        list(Encoding("fp16").encode("model.w", matrix))
    assert "model.w" in str(caught.value)
    assert "bf16" in str(caught.value)
    assert decoded(Encoding("bf16"), matrix)[1, 1] == pytest.approx(-1e6, rel=1e-2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["fp16", "bf16", "int8", "int4"])
def test_values_that_are_not_finite_are_refused_by_name(kind: Kind, value: float) -> None:
    matrix = normal(3, INT4_BLOCK)
    matrix[2, 5] = value
    with pytest.raises(SeedTuneError, match=r"model\.w holds values that are not finite"):
        list(Encoding(kind).encode("model.w", matrix))
