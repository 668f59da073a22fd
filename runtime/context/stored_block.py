"""Blocks that stay in their file: a layer is read when it is asked for.

Plain reads, not a mapping: what a cached page of a file costs under a memory limit can be taken back at once as long as
it is mapped nowhere.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.blocks import LayeredArray, LayeredBlock, Tokens, block_shapes

READ_BYTES = 1 << 20


class StoredArray:
    """An array [layers, ...] in a file; see :class:`~seedtune.runtime.context.blocks.LayeredArray`."""

    def __init__(self, descriptor: int, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self._descriptor = descriptor
        self._offset = offset

    def __getitem__(self, layer: int) -> npt.NDArray[Any]:
        """Reads one layer.

        Raises:
            OSError: the file cannot be read, or has become shorter.
        """
        array = np.empty(self.shape[1:], self.dtype)
        left = array.reshape(-1).view(np.uint8).data
        offset = self._offset + layer * array.nbytes
        while left:
            count = os.preadv(self._descriptor, [left], offset)
            if not count:
                raise OSError("the context cache ends before one of its blocks does")
            left, offset = left[count:], offset + count
        return array


def stored_block(descriptor: int, offset: int, layout: ContextLayout, tokens: Tokens) -> LayeredBlock:
    """The arrays of the block of ``tokens`` at ``offset`` of an open file."""
    block: dict[str, LayeredArray] = {}
    for name, (dtype, shape) in block_shapes(layout, tokens).items():
        block[name] = StoredArray(descriptor, offset, dtype, shape)
        offset += int(np.prod(shape)) * dtype.itemsize
    return block


def checksum_of(descriptor: int, offset: int, size_bytes: int) -> int:
    """CRC-32 of a part of an open file."""
    checksum, end = 0, offset + size_bytes
    while offset < end:
        piece = os.pread(descriptor, min(READ_BYTES, end - offset), offset)
        if not piece:
            break
        checksum, offset = zlib.crc32(piece, checksum), offset + len(piece)
    return checksum
