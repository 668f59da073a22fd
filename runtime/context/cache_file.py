"""The file of a context cache, format version 2. All numbers little-endian; docs/reference/run-folder.md says the same.

    offset  size  what
    0       8     magic "SEEDPREF"
    8       4     format version (uint32) = 2
    12      4     length h of the header (uint32)
    16      h     header, UTF-8 JSON, see :class:`CacheHeader`
    16+h    4     CRC-32 of everything before it
    then entries, each at a multiple of 64 bytes:
    0       32    key: SHA-256 of the row, see maker.py
    32      8     tokens P of the context (uint64)
    40      8     tokens S of the suffix of which something is kept (uint64)
    48      4     CRC-32 of the block (uint32)
    52      4     CRC-32 of the 52 bytes before it (uint32)
    56      8     zero
    64      n     the block, see blocks.py

Entries are only ever appended. A file that was cut short in the middle of one loses that one.
"""

from __future__ import annotations

import io
import itertools
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.blocks import Block, LayeredBlock, Tokens, parse_block, raw_arrays, tokens_of
from seedtune.runtime.context.cache_header import (
    CHECKSUM,
    MAGIC,
    MAX_HEADER_BYTES,
    REMEDY,
    START,
    CacheHeader,
    encode_start,
    require_start,
)
from seedtune.runtime.context.cache_lock import unusable
from seedtune.runtime.context.stored_block import Reader, checksum_of, stored_block
from seedtune.runtime.decoding import require_plain_file
from seedtune.runtime.direct_file import DirectFile
from seedtune.runtime.errors import SeedTuneError

ENTRY = struct.Struct("<32sQQI")
ALIGNMENT = 64


class CacheFile:
    """A cache file, open for reading and appending; a context manager.

    Args:
        path: made if it does not exist.
        header: what it must belong to.
        mapped: whether blocks are views of a mapping. Else they are read layer by layer when they are used, and under a
            memory limit nothing but that layer is held.
        writable: whether entries may be appended; else the file is there already, and is only read.

    Attributes:
        tokens: key -> tokens of which something is kept, of every whole entry.

    Raises:
        SeedTuneError: it belongs to another bundle, is no cache file, has been altered, or cannot be read or made.
    """

    def __init__(self, path: Path, header: CacheHeader, mapped: bool = True, writable: bool = True) -> None:
        self.path = path
        self._mapped = mapped
        self.header = header
        self.tokens: dict[bytes, Tokens] = {}
        self._places: dict[bytes, tuple[int, int]] = {}
        self._verified: set[bytes] = set()
        self._map: mmap.mmap | None = None
        self._direct: Reader | None = None
        start = encode_start(header)
        # Of a pipe the header would be waited for.
        require_plain_file(path, "the context cache", "move it away, or give another --cache")
        try:
            if writable:
                path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY, 0o666)
            # Unbuffered: what a full disk did not take must not be written later, where another entry may stand.
            self._file = io.FileIO(descriptor, "r+b" if writable else "rb")
        except OSError as error:
            raise unusable(path, error) from error
        try:
            begun = self._file.read(len(start))
            if writable and (not begun or (begun.startswith(MAGIC) and begun != start and start.startswith(begun))):
                # New; or a kill or a full disk took a part of the header, and nothing stands behind it.
                self._write(0, [start])
            self._file.seek(0)
            found = self._file.read(MAX_HEADER_BYTES + START.size + CHECKSUM.size)
            self._end = _padded(require_start(found, header, path))
            self._scan(os.fstat(self._file.fileno()).st_size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> CacheFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. Blocks that are still in use keep their memory."""
        self._map = None
        self._file.close()
        if self._direct is not None:
            self._direct.file.close()

    @property
    def size_bytes(self) -> int:
        """Bytes of the file, its torn end left out."""
        return self._end

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def entry_bytes(self, tokens: Tokens) -> int:
        """Bytes that an entry of ``tokens`` takes."""
        return entry_bytes(self.header.layout, tokens)

    def append(self, key: bytes, block: Block) -> None:
        """Adds an entry.

        Raises:
            SeedTuneError: the disk is full, or the file cannot be written; the entries before are whole.
        """
        checksum, tokens = 0, tokens_of(block)
        for raw in raw_arrays(block):
            checksum = zlib.crc32(raw, checksum)
            # One copy at a time: a block is as large as a layer of weights.
            del raw
        entry = ENTRY.pack(key, tokens.context, tokens.suffix, checksum)
        head = (entry + CHECKSUM.pack(zlib.crc32(entry))).ljust(ALIGNMENT, b"\0")
        self._write(self._end, itertools.chain([head], raw_arrays(block)))
        self._places[key] = (self._end + ALIGNMENT, checksum)
        self.tokens[key] = tokens
        self._verified.add(key)
        self._end += self.entry_bytes(tokens)

    def block(self, key: bytes) -> LayeredBlock:
        """The block of ``key``, as views of the mapped file, or read at each use where it is not to be mapped.

        Raises:
            KeyError: there is no such entry.
            SeedTuneError: its bytes have been altered.
        """
        offset, _ = self._places[key]
        tokens = self.tokens[key]
        size = self.header.layout.bytes_of(tokens.context, tokens.suffix)
        if not self._mapped:
            reader = self._read_directly(offset + size)
            self._verify(key, lambda: checksum_of(reader, offset, size))
            return stored_block(reader, offset, self.header.layout, tokens)
        if self._map is None or len(self._map) < offset + size:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        raw = memoryview(self._map)[offset : offset + size]
        self._verify(key, lambda: zlib.crc32(raw))
        return parse_block(raw, self.header.layout, tokens)

    def _read_directly(self, end: int) -> Reader:
        """The file as it was when it had at least ``end`` bytes."""
        if self._direct is not None and self._direct.file.size_bytes < end:
            self._direct.file.close()
            self._direct = None
        if self._direct is None:
            self._direct = Reader(DirectFile(self.path, "the context cache", REMEDY))
        return self._direct

    def _verify(self, key: bytes, found: Callable[[], int]) -> None:
        """Compares the checksum of a block once."""
        offset, checksum = self._places[key]
        if key in self._verified:
            return
        if (actual := found()) != checksum:
            raise SeedTuneError(
                "a block of the context cache has been altered",
                file=self.path,
                value=f"CRC-32 {actual:08x} at offset {offset:,}",
                rule=f"CRC-32 {checksum:08x}",
                remedy=REMEDY,
            )
        self._verified.add(key)

    def _scan(self, size: int) -> None:
        """Finds the whole entries; what is cut short at the end is written over by the next one."""
        while self._end + ALIGNMENT <= size:
            self._file.seek(self._end)
            head = self._file.read(ALIGNMENT)
            key, context, suffix, checksum = ENTRY.unpack_from(head)
            (of_head,) = CHECKSUM.unpack_from(head, ENTRY.size)
            if zlib.crc32(head[: ENTRY.size]) != of_head:
                raise SeedTuneError(
                    "the context cache has been altered",
                    file=self.path,
                    value=f"an entry's checksum at offset {self._end:,} does not match",
                    rule="entries as they were appended",
                    remedy=REMEDY,
                )
            after = self._end + ALIGNMENT + self.header.layout.bytes_of(context, suffix)
            if after > size:
                return
            self._places[key] = (self._end + ALIGNMENT, checksum)
            self.tokens[key] = Tokens(context, suffix)
            self._end = _padded(after)

    def _write(self, offset: int, parts: Iterable[bytes | memoryview]) -> None:
        try:
            # Not for the header: another process may be writing the same bytes, and entries behind them.
            if offset:
                self._file.truncate(offset)
            self._file.seek(offset)
            for part in parts:
                left = memoryview(part)
                while left:
                    left = left[self._file.write(left) :]
                del part, left
        except OSError as error:
            raise unusable(self.path, error) from error


def entry_bytes(layout: ContextLayout, tokens: Tokens) -> int:
    """Bytes that an entry of ``tokens`` takes in a file."""
    return _padded(ALIGNMENT + layout.bytes_of(tokens.context, tokens.suffix))


def _padded(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
