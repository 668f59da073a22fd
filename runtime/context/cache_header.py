"""The start of a context cache file: what it is, and what its blocks belong to. The format is in `cache_file.py`."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import msgspec

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.decoding import decoded
from seedtune.runtime.errors import SeedTuneError

MAGIC = b"SEEDPREF"
VERSION = 2
START = struct.Struct("<8sII")
CHECKSUM = struct.Struct("<I")
MAX_HEADER_BYTES = 1 << 16
REMEDY = "delete the file; it is made again from the rows"


class CacheHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the blocks of a file belong to. The bundle's hash covers model, task, tokenizer and layout."""

    bundle_sha256: str
    layout: ContextLayout


def encode_start(header: CacheHeader) -> bytes:
    """The bytes that a cache file begins with."""
    text = msgspec.json.encode(header)
    body = START.pack(MAGIC, VERSION, len(text)) + text
    return body + CHECKSUM.pack(zlib.crc32(body))


def require_start(raw: bytes, header: CacheHeader, path: Path) -> int:
    """How many bytes the start of a file for ``header`` takes, which ``raw`` begins with.

    Raises:
        SeedTuneError: it does not.
    """
    if len(raw) < START.size or raw[: len(MAGIC)] != MAGIC:
        raise SeedTuneError(
            "this is not a context cache",
            file=path,
            value=raw[: len(MAGIC)],
            rule=f"a file that starts with {MAGIC!r}",
            remedy="choose another folder with --cache",
        )
    _, version, length = START.unpack_from(raw)
    if version != VERSION:
        raise SeedTuneError(
            "the context cache has a format that this version does not read",
            file=path,
            value=version,
            rule=f"version {VERSION}",
            remedy=REMEDY,
        )
    end = START.size + length
    if length > MAX_HEADER_BYTES or len(raw) < end + CHECKSUM.size:
        raise SeedTuneError("the header of the context cache is cut short", file=path, value=len(raw), remedy=REMEDY)
    if CHECKSUM.unpack_from(raw, end)[0] != zlib.crc32(raw[:end]):
        raise SeedTuneError(
            "the header of the context cache has been altered", file=path, rule="its CRC-32 matches", remedy=REMEDY
        )
    what = "the header of the context cache cannot be read"
    rule = "bundle_sha256 and layout, see docs/reference/run-folder.md"
    found = decoded(raw[START.size : end], CacheHeader, path, what, rule, REMEDY)
    if found != header:
        raise SeedTuneError(
            "the context cache belongs to another bundle (model, task or tokenizer)",
            file=path,
            value=f"manifest SHA-256 {found.bundle_sha256}",
            rule=f"manifest SHA-256 {header.bundle_sha256}",
            remedy="choose another folder with --cache, or delete the file",
        )
    return START.size + int(length) + CHECKSUM.size
