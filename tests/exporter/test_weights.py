"""The weights file: a valid safetensors file, page-aligned, and its refusals."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.numpy import load_file

from seedtune.exporter.storage.weights import PAGE_BYTES, WeightsFile, write_weights
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

FLOAT, HALF, INT64 = ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT64
NEEDED = {
    "half": (HALF, (3, 5)),
    "wide": (FLOAT, (7, 3)),
    "counts": (INT64, (4,)),
    "flags": (ir.DataType.BOOL, (3,)),
    "scalar": (FLOAT, ()),
    "empty": (FLOAT, (0, 4)),
}
GENERATOR = np.random.default_rng(6)
TENSORS: dict[str, np.ndarray] = {
    "half": GENERATOR.standard_normal((3, 5)).astype(np.float32),
    "wide": GENERATOR.standard_normal((7, 3)).astype(np.float32),
    "counts": np.arange(4),
    "flags": np.array([True, False, True]),
    "scalar": np.array(2.5, np.float32),
    "empty": np.empty((0, 4), np.float32),
}


def write(path: Path, needed: dict, tensors: dict) -> WeightsFile:
    weights = WeightsFile(path, needed)
    write_weights([weights], tensors.items())
    return weights


def test_the_safetensors_library_reads_every_tensor_back(tmp_path: Path) -> None:
    write(tmp_path / "w.safetensors", NEEDED, TENSORS)
    found = load_file(tmp_path / "w.safetensors")
    assert set(found) == set(NEEDED)
    for name, (dtype, shape) in NEEDED.items():
        assert found[name].shape == shape
        np.testing.assert_array_equal(found[name], TENSORS[name].astype(dtype.numpy()))


def test_data_starts_on_a_page_and_tensors_at_multiples_of_their_item_size(tmp_path: Path) -> None:
    weights = write(tmp_path / "w.safetensors", NEEDED, TENSORS)
    first = min(place.offset for place in weights.placed.values())
    assert first == 8 + int.from_bytes((tmp_path / "w.safetensors").read_bytes()[:8], "little")
    assert first % PAGE_BYTES == 0
    assert all(place.offset % place.dtype.itemsize == 0 for place in weights.placed.values())
    assert (tmp_path / "w.safetensors").stat().st_size == weights.total_bytes


def test_order_of_arrival_does_not_matter_and_others_are_ignored(tmp_path: Path) -> None:
    write(tmp_path / "a", NEEDED, TENSORS)
    write(tmp_path / "b", NEEDED, {"other": np.zeros(9)} | dict(reversed(TENSORS.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_external_tensors_point_at_the_values(tmp_path: Path) -> None:
    for name, tensor in write(tmp_path / "w", NEEDED, TENSORS).external_tensors().items():
        if name != "empty":
            np.testing.assert_array_equal(tensor.numpy(), TENSORS[name].astype(NEEDED[name][0].numpy()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("storage", [FLOAT, HALF])
def test_every_stored_type_of_a_checkpoint_is_converted(
    tmp_path: Path, dtype: torch.dtype, storage: ir.DataType
) -> None:
    tensor = torch.from_numpy(TENSORS["wide"]).to(dtype)
    write(tmp_path / "w", {"wide": (storage, (7, 3))}, {"wide": tensor})
    expected = tensor.float().numpy().astype(storage.numpy())
    np.testing.assert_array_equal(load_file(tmp_path / "w")["wide"], expected)


def test_a_tensor_that_is_not_contiguous_is_written_in_its_logical_order(tmp_path: Path) -> None:
    tensor = torch.from_numpy(TENSORS["wide"])
    write(tmp_path / "w", {"t": (FLOAT, (3, 7))}, {"t": tensor.T})
    np.testing.assert_array_equal(load_file(tmp_path / "w")["t"], TENSORS["wide"].T)


def test_missing_tensors_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"lacks 1 .*\n.*wide"):
        write(tmp_path / "w", NEEDED, {name: value for name, value in TENSORS.items() if name != "wide"})


@pytest.mark.parametrize("shape", [(3, 7), (21,), (7, 3, 1)])
def test_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(SeedTuneError, match="wide does not have the shape"):
        write(tmp_path / "w", NEEDED, TENSORS | {"wide": TENSORS["wide"].reshape(shape)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["half", "wide"])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    spoilt = TENSORS[name].copy()
    spoilt[-1, -1] = value
    with pytest.raises(SeedTuneError, match=f"{name} holds values that are not finite"):
        write(tmp_path / "w", NEEDED, TENSORS | {name: spoilt})


def test_a_type_without_a_name_in_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="odd"):
        WeightsFile(tmp_path / "w", {"odd": (ir.DataType.COMPLEX64, (2,))})
