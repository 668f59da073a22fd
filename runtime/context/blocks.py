"""Blocks: what is kept of one row as stored, apart and side by side in a batch.

A block of P context and S suffix tokens is, in this order and without gaps, ``keys`` and ``values`` [layers, key heads,
P, head size], for int8 ``key_scales`` and ``value_scales`` [layers, key heads, P, 1], and where lower layers carry no
state ``entering`` [1, S, H]; see `bundle.objective.ContextLayout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.objective import CONTEXT_TYPES, ContextLayout

ENTERING = "entering"
ORDER = ("keys", "values", "key_scales", "value_scales", ENTERING)


class LayeredArray(Protocol):
    """An array of a block, [layers, ...]: in memory, or in a file, of which one thread at a time may read."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all layers."""
        ...

    def __getitem__(self, layer: int, /) -> npt.NDArray[Any]:
        """One layer; of a file it is valid until another one of the same file is asked for."""
        ...


Block = Mapping[str, npt.NDArray[Any]]
LayeredBlock = Mapping[str, LayeredArray]


@dataclass(frozen=True, order=True)
class Tokens:
    """How many tokens of a row are before those where the state acts, and how many are such."""

    context: int
    suffix: int


def tokens_of(block: LayeredBlock) -> Tokens:
    """Of how many tokens ``block`` keeps something."""
    return Tokens(block["keys"].shape[2], block[ENTERING].shape[1] if ENTERING in block else 0)


def block_shapes(layout: ContextLayout, tokens: Tokens) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Name -> (dtype, shape) of the arrays of a block, in their order."""
    shape = (layout.layers, layout.key_heads, tokens.context)
    whole = np.dtype(CONTEXT_TYPES[layout.storage]), (*shape, layout.head_size)
    arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {"keys": whole, "values": whole}
    if layout.storage == "int8":
        arrays |= dict.fromkeys(("key_scales", "value_scales"), (np.dtype("float16"), (*shape, 1)))
    if layout.entering:
        arrays[ENTERING] = np.dtype("float32"), (1, tokens.suffix, layout.entering)
    return arrays


def parse_block(raw: memoryview | bytes, layout: ContextLayout, tokens: Tokens) -> Block:
    """Views of the arrays of a block of ``tokens``; nothing is copied."""
    block, offset = {}, 0
    for name, (dtype, shape) in block_shapes(layout, tokens).items():
        count = int(np.prod(shape))
        block[name] = np.frombuffer(raw, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    return block


def raw_arrays(block: Block) -> Iterator[memoryview]:
    """The bytes of ``block``, as :func:`parse_block` reads them, one array at a time."""
    for name in ORDER:
        if name in block:
            yield np.ascontiguousarray(block[name]).reshape(-1).view(np.uint8).data


def block_bytes(block: Block) -> bytes:
    """The bytes of ``block``, as :func:`parse_block` reads them."""
    return b"".join(raw_arrays(block))


class SideBySide:
    """An input of a graph for B blocks: [layers, B, key heads, P, ...], padded with zeros on the right.

    P is that of the longest block, and at least 1: a graph that is given no place at all has no keys to look at.
    Nothing is copied before it is asked for: a graph that runs layer by layer takes one layer at a time.
    """

    def __init__(self, blocks: Sequence[LayeredBlock], layout: ContextLayout, name: str) -> None:
        self._arrays = [block[name] for block in blocks]
        longest = max(1, *(array.shape[2] for array in self._arrays))
        self.dtype, self._of_row = block_shapes(layout, Tokens(longest, 0))[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole input."""
        return self._of_row[0], len(self._arrays), *self._of_row[1:]

    @property
    def nbytes(self) -> int:
        """Of the whole input."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def fill(self, layer: int, into: npt.NDArray[Any]) -> None:
        """Writes one layer to ``into``, [B, key heads, P, ...]."""
        for row, array in enumerate(self._arrays):
            tokens = array.shape[2]
            into[row, :, :tokens] = array[layer]
            into[row, :, tokens:] = 0

    def whole(self) -> npt.NDArray[Any]:
        """All layers."""
        every = np.empty(self.shape, self.dtype)
        for layer in range(len(every)):
            self.fill(layer, every[layer])
        return every


def side_by_side(blocks: Sequence[LayeredBlock], layout: ContextLayout) -> dict[str, SideBySide]:
    """The keys and values of ``blocks`` as inputs of a graph, by name."""
    return {name: SideBySide(blocks, layout, name) for name in block_shapes(layout, Tokens(1, 1)) if name != ENTERING}


def entering_states(blocks: Sequence[LayeredBlock]) -> npt.NDArray[np.float32]:
    """What enters the first layer with state, of all ``blocks``: [B, S, H], padded with zeros on the right."""
    sizes = [block[ENTERING].shape[1:] for block in blocks]
    whole = np.zeros((len(sizes), max(tokens for tokens, _ in sizes), sizes[0][1]), np.float32)
    for row, block in enumerate(blocks):
        whole[row, : sizes[row][0]] = block[ENTERING][0]
    return whole
