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


class Reader:
    """Reads pieces of a file into the same memory again and again; what was read is valid until the next reading.

    Memory of its own for each piece would come from an arena of the reading thread, which keeps what it was given.
    """

    def __init__(self, file: DirectFile) -> None:
        self.file = file
        self._pages = pages_of(0)

    def read(self, offset: int, size_bytes: int) -> memoryview:
        """The bytes ``offset`` to ``offset + size_bytes``.

        Raises:
            SeedTuneError: the file cannot be read, or has become shorter.
        """
        start, whole = span_of(offset, size_bytes)
        if len(self._pages) < whole:
            self._pages = pages_of(whole)
        self.file.read(start, self._pages[:whole])
        return self._pages[offset - start : offset - start + size_bytes]


class StoredArray:
    """An array [layers, ...] in a file; see :class:`~seedtune.runtime.context.blocks.LayeredArray`."""

    def __init__(self, reader: Reader, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self._reader = reader
        self._offset = offset

    def __getitem__(self, layer: int) -> npt.NDArray[Any]:
        """Reads one layer.

        Raises:
            SeedTuneError: the file cannot be read, or has become shorter.
        """
        of_layer = self.shape[1:]
        count = int(np.prod(of_layer))
        size = count * self.dtype.itemsize
        return np.frombuffer(self._reader.read(self._offset + layer * size, size), self.dtype, count).reshape(of_layer)


def stored_block(reader: Reader, offset: int, layout: ContextLayout, tokens: Tokens) -> LayeredBlock:
    """The arrays of the block of ``tokens`` at ``offset`` of a file."""
    block: dict[str, LayeredArray] = {}
    for name, (dtype, shape) in block_shapes(layout, tokens).items():
        block[name] = StoredArray(reader, offset, dtype, shape)
        offset += int(np.prod(shape)) * dtype.itemsize
    return block


def checksum_of(reader: Reader, offset: int, size_bytes: int) -> int:
    """CRC-32 of a part of a file.

    Raises:
        SeedTuneError: the file cannot be read, or has become shorter.
    """
    checksum = 0
    for place in range(offset, offset + size_bytes, READ_BYTES):
        size = min(READ_BYTES, offset + size_bytes - place)
        checksum = zlib.crc32(reader.read(place, size), checksum)
    return checksum
