"""Layers of contexts read ahead: the right values, valid as long as promised, errors where a layer would be used."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.layer_buffer import LayerBuffer

THREAD = "seedtune-contexts"


class Recorded:
    """Layers [4, rows, 3] in memory, which tells what was asked for; ``broken`` is a layer that cannot be read."""

    def __init__(self, rows: int, broken: int | None = None) -> None:
        self.values = np.random.default_rng(rows).standard_normal((4, rows, 3)).astype(np.float16)
        self.dtype, self.shape = self.values.dtype, self.values.shape
        self.broken = broken
        self.filled: list[int] = []
        self.changed = threading.Condition()

    def fill(self, layer: int, into: npt.NDArray[Any]) -> None:
        """Writes a layer over whatever is there."""
        if layer == self.broken:
            raise SeedTuneError("the storage is gone")
        into[...] = self.values[layer]
        with self.changed:
            self.filled.append(layer)
            self.changed.notify_all()

    def wait_for(self, count: int) -> bool:
        """Whether so many layers have been read within a second."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.filled) >= count, timeout=1)

    def whole(self) -> npt.NDArray[Any]:
        """All layers."""
        return self.values


def calls_of(*inputs: Recorded) -> list[dict[str, tuple[Recorded, int]]]:
    return [{"input_1": (each, layer), "input_2": (each, layer)} for layer in range(4) for each in inputs]


@pytest.mark.parametrize("size_bytes", [0, 1 << 16])
def test_every_call_finds_its_layers_until_the_next_one_is_asked_for(size_bytes: int) -> None:
    # Thousands of rows: one call takes more than a page, which is what there is at least.
    many, few = Recorded(2000), Recorded(3)
    calls = calls_of(many, few)
    for call, found in zip(calls, LayerBuffer(size_bytes).passes(calls), strict=True):
        for name, (layers, layer) in call.items():
            assert found[name].dtype == layers.dtype
            np.testing.assert_array_equal(found[name], layers.values[layer])
    assert THREAD not in {thread.name for thread in threading.enumerate()}


def test_a_layer_is_read_while_the_call_before_computes_if_there_is_room() -> None:
    layers = Recorded(1000)
    # Of one input 6,000 bytes: room for two calls, and for one.
    for room, ahead in ((4 * 6016, 4), (2 * 6016, 2)):
        layers.filled.clear()
        passes = LayerBuffer(room).passes(calls_of(layers))
        next(passes)
        assert layers.wait_for(ahead)
        assert not layers.wait_for(ahead + 1)
        passes.close()


def test_what_is_released_is_read_over_before_the_next_call_is_asked_for() -> None:
    layers = Recorded(1000)
    passes = LayerBuffer(4 * 6016).passes(calls_of(layers))
    first = next(passes)["input_1"]
    assert layers.wait_for(4)
    assert not layers.wait_for(5)
    np.testing.assert_array_equal(first, layers.values[0])
    passes.release()
    assert layers.wait_for(6)
    assert not layers.wait_for(7)
    np.testing.assert_array_equal(next(passes)["input_1"], layers.values[1])
    # Once only: nothing is in use between a release and the next call.
    passes.release()
    passes.release()
    assert layers.wait_for(8)
    np.testing.assert_array_equal(next(passes)["input_1"], layers.values[2])
    passes.close()


def test_an_error_is_raised_where_the_layer_would_be_used() -> None:
    passes = LayerBuffer(1 << 20).passes(calls_of(Recorded(5, broken=1)))
    next(passes)
    with pytest.raises(SeedTuneError, match="the storage is gone"):
        next(passes)
    assert THREAD not in {thread.name for thread in threading.enumerate()}


def test_a_pass_that_is_given_up_leaves_no_thread() -> None:
    passes = LayerBuffer(0).passes(calls_of(Recorded(5)))
    next(passes)
    passes.close()
    assert THREAD not in {thread.name for thread in threading.enumerate()}


def test_without_any_call_nothing_is_read() -> None:
    assert list(LayerBuffer(0).passes([])) == []
