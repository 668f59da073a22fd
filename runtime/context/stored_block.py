"""Blocks that stay in their file: a layer is read when it is asked for.

Past the page cache: what a page of a file costs under a memory limit has to be taken back from others first, and a
layer is a piece in the middle of the file, of which the system would read far more than is wanted.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.blocks import LayeredArray, LayeredBlock, Tokens, block_shapes
from seedtune.runtime.direct_file import DirectFile, pages_of, span_of

READ_BYTES = 1 << 20


class StoredArray:
    """An array [layers, ...] in a file; see :class:`~seedtune.runtime.context.blocks.LayeredArray`."""

    def __init__(self, file: DirectFile, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self._file = file
        self._offset = offset

    def __getitem__(self, layer: int) -> npt.NDArray[Any]:
        """Reads one layer.

        Raises:
            SeedTuneError: the file cannot be read, or has become shorter.
        """
        of_layer = self.shape[1:]
        count = int(np.prod(of_layer))
        size = count * self.dtype.itemsize
        pages, offset = _read(self._file, self._offset + layer * size, size)
        return np.frombuffer(pages, self.dtype, count, offset).reshape(of_layer)


def stored_block(file: DirectFile, offset: int, layout: ContextLayout, tokens: Tokens) -> LayeredBlock:
    """The arrays of the block of ``tokens`` at ``offset`` of a file."""
    block: dict[str, LayeredArray] = {}
    for name, (dtype, shape) in block_shapes(layout, tokens).items():
        block[name] = StoredArray(file, offset, dtype, shape)
        offset += int(np.prod(shape)) * dtype.itemsize
    return block


def checksum_of(file: DirectFile, offset: int, size_bytes: int) -> int:
    """CRC-32 of a part of a file.

    Raises:
        SeedTuneError: the file cannot be read, or has become shorter.
    """
    checksum = 0
    for place in range(offset, offset + size_bytes, READ_BYTES):
        size = min(READ_BYTES, offset + size_bytes - place)
        pages, before = _read(file, place, size)
        checksum = zlib.crc32(pages[before : before + size], checksum)
    return checksum


def _read(file: DirectFile, offset: int, size_bytes: int) -> tuple[memoryview, int]:
    """Whole pages with the bytes wanted, and where these begin."""
    start, whole = span_of(offset, size_bytes)
    pages = pages_of(whole)
    file.read(start, pages)
    return pages, offset - start
