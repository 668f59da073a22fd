"""A cache file is the bytes that its docstring says, and gives back what was put in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from context_lab import BUNDLE_SHA256, LAYOUTS, header_for, key_of, made_up_block, read_by_hand, same_block, tokens_for

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.blocks import Tokens, block_bytes, entering_states, parse_block, side_by_side
from seedtune.runtime.context.cache_file import CacheFile, entry_bytes
from seedtune.runtime.errors import SeedTuneError

TOKENS = (3, 1, 5)
ORDER = ("keys", "values", "key_scales", "value_scales", "entering")


def raw_block(block: dict[str, np.ndarray]) -> bytes:
    return b"".join(block[name].tobytes() for name in ORDER if name in block)


def test_the_bytes_are_those_of_the_documented_format(filled: Callable[..., Path], layout: ContextLayout) -> None:
    header, entries = read_by_hand(filled(layout, TOKENS).read_bytes())
    assert header == {"bundle_sha256": BUNDLE_SHA256, "layout": msgspec.to_builtins(layout)}
    assert [(entry.key, entry.tokens) for entry in entries] == [(key_of(k), tokens) for k, tokens in enumerate(TOKENS)]
    assert [entry.suffix_tokens for entry in entries] == [tokens_for(layout, tokens).suffix for tokens in TOKENS]
    for number, entry in enumerate(entries):
        assert entry.offset % 64 == 0
        assert entry.block == raw_block(made_up_block(layout, entry.tokens, number))


def test_a_file_put_together_by_hand_is_read(cache_path: Path, layout: ContextLayout) -> None:
    text = msgspec.json.encode(header_for(layout))
    start = b"SEEDPREF" + struct.pack("<II", 2, len(text)) + text
    raw = start + struct.pack("<I", zlib.crc32(start))
    for number, tokens in enumerate(TOKENS):
        block, kept = raw_block(made_up_block(layout, tokens, number)), tokens_for(layout, tokens)
        head = key_of(number) + struct.pack("<QQI", kept.context, kept.suffix, zlib.crc32(block))
        raw += bytes(-len(raw) % 64) + head + struct.pack("<I", zlib.crc32(head)) + bytes(8) + block
    cache_path.parent.mkdir()
    cache_path.write_bytes(raw)
    with CacheFile(cache_path, header_for(layout)) as cache:
        assert cache.tokens == {key_of(number): tokens_for(layout, tokens) for number, tokens in enumerate(TOKENS)}
        for number, tokens in enumerate(TOKENS):
            assert same_block(cache.block(key_of(number)), made_up_block(layout, tokens, number))
    assert cache_path.read_bytes() == raw


def test_blocks_come_back_at_once_and_after_reopening(cache_path: Path, layout: ContextLayout) -> None:
    for opened in range(3):
        with CacheFile(cache_path, header_for(layout)) as cache:
            for number in range(2 * opened):
                assert same_block(cache.block(key_of(number)), made_up_block(layout, number + 1, number))
            for number in range(2 * opened, 2 * opened + 2):
                assert key_of(number) not in cache
                cache.append(key_of(number), made_up_block(layout, number + 1, number))
                assert key_of(number) in cache
                # Read between appends: the map has to grow with the file.
                assert same_block(cache.block(key_of(number)), made_up_block(layout, number + 1, number))
            assert same_block(cache.block(key_of(0)), made_up_block(layout, 1, 0))
    assert len(read_by_hand(cache_path.read_bytes())[1]) == 6


def test_appending_changes_no_byte_that_was_there(filled: Callable[..., Path]) -> None:
    path = filled()
    before = path.read_bytes()
    layout = LAYOUTS["fp16"]
    with CacheFile(path, header_for(layout)) as cache:
        cache.append(key_of(9), made_up_block(layout, 4, 9))
    after = path.read_bytes()
    assert after[: len(before)] == before
    assert not any(after[len(before) : len(before) + -len(before) % 64])


def test_opening_changes_no_byte(filled: Callable[..., Path]) -> None:
    path = filled()
    before = path.read_bytes()
    with CacheFile(path, header_for(LAYOUTS["fp16"])) as cache:
        cache.block(key_of(1))
    assert path.read_bytes() == before


def test_sizes_are_what_the_file_takes(filled: Callable[..., Path], layout: ContextLayout) -> None:
    path = filled(layout, TOKENS)
    _, entries = read_by_hand(path.read_bytes())
    with CacheFile(path, header_for(layout)) as cache:
        ends = [*(entry.offset for entry in entries[1:]), cache.size_bytes]
        for entry, end in zip(entries, ends, strict=True):
            tokens = tokens_for(layout, entry.tokens)
            assert entry_bytes(layout, tokens) == cache.entry_bytes(tokens) == end - entry.offset
        assert 0 <= cache.size_bytes - path.stat().st_size < 64


def test_blocks_outlive_their_file(filled: Callable[..., Path]) -> None:
    with CacheFile(filled(), header_for(LAYOUTS["fp16"])) as cache:
        block = cache.block(key_of(2))
    assert same_block(block, made_up_block(LAYOUTS["fp16"], 5, 2))


def test_a_key_that_is_not_there_is_a_key_error(filled: Callable[..., Path]) -> None:
    with CacheFile(filled(), header_for(LAYOUTS["fp16"])) as cache, pytest.raises(KeyError):
        cache.block(key_of(77))


def test_an_empty_file_becomes_a_cache(cache_path: Path) -> None:
    """What a kill between making the file and writing its header leaves."""
    cache_path.parent.mkdir()
    cache_path.touch()
    with CacheFile(cache_path, header_for(LAYOUTS["fp16"])) as cache:
        assert not cache.tokens
    assert read_by_hand(cache_path.read_bytes())[1] == []


def test_a_block_survives_its_bytes(layout: ContextLayout) -> None:
    for tokens in (0, 1, 6):
        block = made_up_block(layout, tokens, tokens)
        raw = block_bytes(block)
        kept = tokens_for(layout, tokens)
        assert raw == raw_block(block)
        assert len(raw) == layout.bytes_of(kept.context, kept.suffix)
        assert same_block(parse_block(raw, layout, kept), block)


def test_blocks_stand_side_by_side_with_zeros_on_the_right(layout: ContextLayout) -> None:
    blocks = [made_up_block(layout, tokens, tokens) for tokens in (2, 0, 5)]
    for name, whole in side_by_side(blocks, layout).items():
        width = blocks[0][name].shape[3]
        expected = np.zeros((layout.layers, 3, layout.key_heads, 5, width), blocks[0][name].dtype)
        for row, block in enumerate(blocks):
            for layer in range(layout.layers):
                for head in range(layout.key_heads):
                    for token in range(block[name].shape[2]):
                        expected[layer, row, head, token] = block[name][layer, head, token]
        assert whole.dtype == expected.dtype
        assert np.array_equal(whole.whole(), expected)
        # Memory that has been used before.
        into = np.full(expected.shape[1:], 7, expected.dtype)
        for layer in range(layout.layers):
            whole.fill(layer, into)
            assert np.array_equal(into, expected[layer])


def test_what_enters_stands_side_by_side_with_zeros_on_the_right() -> None:
    layout = LAYOUTS["upper layers"]
    blocks = [made_up_block(layout, tokens, tokens) for tokens in (2, 0, 5)]
    expected = np.zeros((3, 3, 5), np.float32)
    for row, block in enumerate(blocks):
        for token, state in enumerate(block["entering"][0]):
            expected[row, token] = state
    np.testing.assert_array_equal(entering_states(blocks), expected)


def test_rows_without_any_context_have_one_place_of_zeros(layout: ContextLayout) -> None:
    for whole in side_by_side([parse_block(b"", layout, Tokens(0, 0))] * 2, layout).values():
        assert whole.shape[1:4] == (2, layout.key_heads, 1)
        assert not whole.whole().any()


@pytest.mark.parametrize("in_the_way", ["file", "folder"])
def test_a_place_that_cannot_hold_a_cache_is_named(tmp_path: Path, in_the_way: str) -> None:
    path = tmp_path / "cache" / "train.contexts"
    if in_the_way == "file":
        (tmp_path / "cache").write_text("mine")
    else:
        path.mkdir(parents=True)
    with pytest.raises(SeedTuneError, match="--cache") as caught:
        CacheFile(path, header_for(LAYOUTS["fp16"]))
    assert caught.value.file == str(path)
