"""The file of a context cache: blindly, and entry by entry with checksums that fit again."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fuzz.blind import LENGTHS, LONG_LENGTHS, mutated_bytes
from fuzz.target import ODD, Files, Target, WrongError, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, to_json
from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.cache_file import CacheFile
from seedtune.runtime.context.cache_header import CacheHeader

FILE = "train.contexts"
LAYOUT = ContextLayout(2, 1, 4, "int8", entering=3)
HEADER = CacheHeader("ab" * 32, LAYOUT)
# Two of keys and values, of 4 values and a float16 scale each.
TOKEN_BYTES = 2 * 2 * (4 + 2)
# Of what enters, 3 float32.
SUFFIX_TOKEN_BYTES = 4 * 3
VERSION = 2
ARRAYS = ("keys", "values", "key_scales", "value_scales")
# Tokens of the context, and of the suffix.
Sizes = tuple[int, int]


def header() -> dict[str, Any]:
    """The header, as it stands in the file."""
    layout = {"layers": 2, "key_heads": 1, "head_size": 4, "storage": "int8", "entering": 3}
    return {"bundle_sha256": "ab" * 32, "layout": layout}


def size_of(sizes: Sizes) -> int:
    """Bytes of a block."""
    return sizes[0] * TOKEN_BYTES + sizes[1] * SUFFIX_TOKEN_BYTES


def sealed(head: bytes, entries: list[tuple[bytes, Sizes, bytes]], version: int = VERSION) -> bytes:
    """A cache file of (key, sizes, block), whose checksums fit whatever it says."""
    raw = b"SEEDPREF" + struct.pack("<II", version, len(head)) + head
    raw += struct.pack("<I", zlib.crc32(raw))
    for key, (context, suffix), block in entries:
        raw += bytes(-len(raw) % 64)
        entry = struct.pack("<32sQQI", key, context % 2**64, suffix % 2**64, zlib.crc32(block))
        raw += (entry + struct.pack("<I", zlib.crc32(entry))).ljust(64, b"\0") + block
    return raw


def read_plainly(raw: bytes) -> dict[bytes, bytes]:
    """Key -> bytes of the block of every whole entry, the last of equal keys, by the documented format alone."""
    assert raw[:8] == b"SEEDPREF"
    version, length = struct.unpack_from("<II", raw, 8)
    assert version == VERSION
    assert struct.unpack_from("<I", raw, 16 + length)[0] == zlib.crc32(raw[: 16 + length])
    assert plain_json(raw[16 : 16 + length]) == header()
    at, entries = 16 + length + 4, {}
    while True:
        at += -at % 64
        if at + 64 > len(raw):
            break
        key, context, suffix, of_block, of_head = struct.unpack_from("<32sQQII", raw, at)
        assert of_head == zlib.crc32(raw[at : at + 52])
        end = at + 64 + size_of((context, suffix))
        if end > len(raw):
            break
        entries[key] = of_block, raw[at + 64 : end]
        at = end
    assert all(checksum == zlib.crc32(block) for checksum, block in entries.values())
    return {key: block for key, (_, block) in entries.items()}


def bytes_of(block: Mapping[str, Any]) -> bytes:
    """A block as it is stored."""
    layers = [np.stack([block[name][layer] for layer in range(2)]) for name in ARRAYS]
    return b"".join(array.tobytes() for array in (*layers, block["entering"][0]))


class CacheTarget(Target):
    """See the module docstring."""

    name = "cache"

    def make(self) -> dict[str, bytes]:
        """Three entries."""
        self._entries = [
            (bytes([place]) * 32, sizes, bytes((place + byte) % 90 for byte in range(size_of(sizes))))
            for place, sizes in enumerate(((3, 1), (1, 2), (5, 1)))
        ]
        raw = sealed(json.dumps(header()).encode(), self._entries)
        start = raw.index(b"}}") + 2
        entries = [at for at in range(0, len(raw), 64) if at > start]
        self._boundaries = [0, 8, 12, 16, start, start + 4, *entries, *(at + 32 for at in entries), len(raw)]
        return {FILE: raw}

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        kind = generator.random()
        if kind < 0.01:
            return {FILE: generator.choice(ODD)}
        if kind < 0.45:
            return {FILE: mutated_bytes(generator, self.whole[FILE], self._boundaries)}
        head, entries, version = json.dumps(header()).encode(), list(self._entries), VERSION
        if generator.random() < 0.35:
            head = encoded(to_json(mutated_tree(generator, header(), RAW_JSON)))
        else:
            for _ in range(generator.choice((1, 1, 2))):
                place = generator.randrange(len(entries))
                key, (context, suffix), block = entries[place]
                change = generator.randrange(6)
                if change == 0:
                    context = generator.choice((*LONG_LENGTHS, context + 1, context - 1))
                elif change == 5:
                    suffix = generator.choice((*LONG_LENGTHS, suffix + 1, suffix - 1))
                elif change == 1:
                    block = mutated_bytes(generator, block)
                elif change == 2:
                    key = generator.choice(entries)[0]
                elif change == 3:
                    block, context, suffix = block[:TOKEN_BYTES], 1, 0
                else:
                    block, context, suffix = b"", 0, 0
                entries[place] = (key, (context, suffix), block)
            if generator.random() < 0.2:
                generator.shuffle(entries)
            if generator.random() < 0.1:
                version = generator.choice(LENGTHS)
        raw = sealed(head, entries, version)
        return {FILE: mutated_bytes(generator, raw, self._boundaries) if generator.random() < 0.1 else raw}

    def read(self) -> None:
        """Reads every block in both ways, then goes on with the file."""
        path = self.folder / FILE
        raw = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found = self._blocks(mapped=True)
        require_equal(self._blocks(mapped=False), found, "blocks of a file that is not mapped")
        if not raw:
            return
        try:
            expected = read_plainly(raw)
        except (AssertionError, ValueError, KeyError, TypeError, struct.error) as error:
            raise WrongError(f"accepted, but read plainly it is no cache: {error!r}") from error
        require_equal(found, expected, "blocks")
        self.said = {key.hex(): hashlib.sha256(block).hexdigest() for key, block in found.items()}

    def _blocks(self, mapped: bool) -> dict[bytes, bytes]:
        with CacheFile(self.folder / FILE, HEADER, mapped) as cache:
            blocks = {key: bytes_of(cache.block(key)) for key in cache.tokens}
            block = {name: np.zeros((2, 1, 1, 4), "i1") for name in ("keys", "values")}
            block |= {name: np.zeros((2, 1, 1, 1), "<f2") for name in ("key_scales", "value_scales")}
            block["entering"] = np.zeros((1, 1, 3), "<f4")
            if not mapped:
                cache.append(b"new" * 10 + b"ab", block)
        if not mapped:
            with CacheFile(self.folder / FILE, HEADER) as cache:
                require_equal(set(cache.tokens), {*blocks, b"new" * 10 + b"ab"}, "keys after one more")
        return blocks
