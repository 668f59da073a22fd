"""What the tests of contexts share: made-up layouts and blocks, tokenised rows, and blocks as the context graph alone
gives them, one row at a time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from seedtune.runtime.bundle.objective import ContextLayout, ContextStorage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.blocks import LayeredBlock, Tokens
from seedtune.runtime.context.cache_header import CacheHeader
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.task.example import Example

STORAGES: tuple[ContextStorage, ...] = ("fp32", "fp16", "int8")
LAYOUTS = {str(storage): ContextLayout(2, 3, 4, storage) for storage in STORAGES} | {
    "upper layers": ContextLayout(2, 3, 4, "fp16", entering=5)
}
TYPES = {"fp32": "<f4", "fp16": "<f2", "int8": "i1"}
BUNDLE_SHA256 = "ab" * 32


def header_for(layout: ContextLayout, sha256: str = BUNDLE_SHA256) -> CacheHeader:
    return CacheHeader(sha256, layout)


def key_of(number: int) -> bytes:
    """A key as a hash would look."""
    return bytes((number * 37 + place * 11) % 256 for place in range(32))


def tokens_for(layout: ContextLayout, context: int) -> Tokens:
    """Of a made-up row whose context has ``context`` tokens."""
    return Tokens(context, context % 3 + 1 if layout.entering else 0)


def made_up_block(layout: ContextLayout, tokens: int, seed: int) -> dict[str, np.ndarray]:
    """A block of random numbers of the stored type."""
    generator = np.random.default_rng(seed)
    shape = (layout.layers, layout.key_heads, tokens, layout.head_size)
    block = {}
    for name in ("keys", "values"):
        numbers = generator.integers(-127, 128, shape) if layout.storage == "int8" else generator.normal(size=shape)
        block[name] = numbers.astype(TYPES[layout.storage])
    if layout.storage == "int8":
        for name in ("key_scales", "value_scales"):
            block[name] = generator.normal(size=(*shape[:3], 1)).astype("<f2")
    if layout.entering:
        suffix_tokens = tokens_for(layout, tokens).suffix
        block["entering"] = generator.normal(size=(1, suffix_tokens, layout.entering)).astype("<f4")
    return block


def whole(block: LayeredBlock) -> dict[str, np.ndarray]:
    """A copy of ``block`` in memory."""
    return {name: np.array(array) for name, array in block.items()}


def same_block(found: LayeredBlock, expected: LayeredBlock) -> bool:
    """Whether names, types, shapes and bits agree."""
    return set(found) == set(expected) and all(
        array.dtype == expected[name].dtype
        and array.shape == expected[name].shape
        and np.ascontiguousarray(array).tobytes() == np.ascontiguousarray(expected[name]).tobytes()
        for name, array in found.items()
    )


@dataclass(frozen=True)
class Entry:
    """An entry of a cache file, as read by hand: where it starts, and what it says."""

    offset: int
    key: bytes
    tokens: int
    suffix_tokens: int
    block: bytes


def read_by_hand(raw: bytes) -> tuple[dict, list[Entry]]:
    """Header and entries of a cache file, with every checksum tested: the format as the module docstring has it."""
    magic, version, length = struct.unpack_from("<8sII", raw, 0)
    assert (magic, version) == (b"SEEDPREF", 2)
    header = msgspec.json.decode(raw[16 : 16 + length])
    assert struct.unpack_from("<I", raw, 16 + length)[0] == zlib.crc32(raw[: 16 + length])
    layout = header["layout"]
    vectors = 2 * layout["layers"] * layout["key_heads"]
    per_token = vectors * (layout["head_size"] * {"fp32": 4, "fp16": 2, "int8": 1}[layout["storage"]])
    per_token += 2 * vectors if layout["storage"] == "int8" else 0
    entries: list[Entry] = []
    offset = 16 + length + 4
    while True:
        offset += -offset % 64
        if offset >= len(raw):
            return header, entries
        key, tokens, suffix_tokens, of_block, of_head = struct.unpack_from("<32sQQII", raw, offset)
        assert of_head == zlib.crc32(raw[offset : offset + 52])
        assert raw[offset + 56 : offset + 64] == bytes(8)
        size = tokens * per_token + 4 * suffix_tokens * layout["entering"]
        block = raw[offset + 64 : offset + 64 + size]
        assert len(block) == size
        assert of_block == zlib.crc32(block)
        entries.append(Entry(offset, key, tokens, suffix_tokens, block))
        offset += 64 + len(block)


def encoded_rows(bundle: Bundle, texts: Sequence[str]) -> list[Example]:
    """Rows with alternating labels, as a run makes them of a file."""
    task = bundle.compiled_task()
    rows = [task.encode({"text": text}) for text in texts]
    return [Example(row.ids, row.position, place % 2, row.suffix) for place, row in enumerate(rows)]


def without_context(example: Example) -> Example:
    """The same row, all of it suffix."""
    return Example(example.ids, example.position, example.label, np.arange(len(example.ids), dtype=np.int64))


def suffix_of(example: Example) -> np.ndarray:
    """The places of its suffix, which a row of scope "suffix" has."""
    assert example.suffix is not None
    return example.suffix


def block_alone(bundle: Bundle, example: Example) -> dict[str, np.ndarray]:
    """The block of one row from the context graph, given nothing but this row."""
    session = open_session(bundle.graph_path("context"), 1)
    names = [output.name for output in session.get_outputs()]
    kept = [place for place in range(len(example.ids)) if place not in set(suffix_of(example).tolist())]
    alone = bundle.manifest.language_model.model.family == "causal" and "entering" not in names
    ids = (example.ids[kept] if alone else example.ids)[None]
    arrays = session.run(names, {"ids": ids, "mask": np.ones_like(ids)})
    return {
        name: array[:, example.suffix] if name == "entering" else array[:, 0][:, :, kept]
        for name, array in zip(names, arrays, strict=True)
    }
