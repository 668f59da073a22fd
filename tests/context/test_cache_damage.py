"""Whatever happened to a cache file: a cut end costs one entry, and nothing altered or foreign is ever read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from context_lab import LAYOUTS, header_for, key_of, made_up_block, read_by_hand, same_block

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.context.cache_file import CacheFile
from seedtune.runtime.context.cache_header import MAGIC
from seedtune.runtime.errors import SeedTuneError

LAYOUT = LAYOUTS["int8"]
TOKENS = (2, 1)


def read_all(path: Path, layout: ContextLayout = LAYOUT) -> dict[bytes, dict]:
    """Every block of the file, read through it."""
    with CacheFile(path, header_for(layout)) as cache:
        return {key: dict(cache.block(key)) for key in cache.tokens}


def test_every_cut_of_the_tail_loses_the_last_entry_only(filled: Callable[..., Path]) -> None:
    path = filled(LAYOUT, TOKENS)
    raw = path.read_bytes()
    last = read_by_hand(raw)[1][-1]
    for length in range(last.offset, len(raw)):
        path.write_bytes(raw[:length])
        found = read_all(path)
        assert set(found) == {key_of(0)}, length
        assert same_block(found[key_of(0)], made_up_block(LAYOUT, 2, 0))


@pytest.mark.parametrize("lost", [1, 30, 64, 100])
def test_what_was_cut_is_written_over_by_the_next_entry(filled: Callable[..., Path], lost: int) -> None:
    path = filled(LAYOUT, TOKENS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    with CacheFile(path, header_for(LAYOUT)) as cache:
        assert key_of(1) not in cache
        cache.append(key_of(1), made_up_block(LAYOUT, 1, 1))
    assert path.read_bytes() == whole


def test_a_shorter_entry_leaves_nothing_of_the_cut_one(filled: Callable[..., Path]) -> None:
    path = filled(LAYOUT, (1, 9))
    path.write_bytes(path.read_bytes()[:-1])
    with CacheFile(path, header_for(LAYOUT)) as cache:
        cache.append(key_of(5), made_up_block(LAYOUT, 1, 5))
    _, entries = read_by_hand(path.read_bytes())
    assert [entry.key for entry in entries] == [key_of(0), key_of(5)]
    assert set(read_all(path)) == {key_of(0), key_of(5)}


def covered_bytes(raw: bytes) -> list[int]:
    """The places of a file that carry something: all but the gaps, which are never read."""
    _, entries = read_by_hand(raw)
    places = list(range(16 + int.from_bytes(raw[12:16], "little") + 4))
    for entry in entries:
        places += range(entry.offset, entry.offset + 56)
        places += range(entry.offset + 64, entry.offset + 64 + len(entry.block))
    return places


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_each_single_altered_byte_is_noticed(filled: Callable[..., Path], flip: int) -> None:
    path = filled(LAYOUT, TOKENS)
    raw = path.read_bytes()
    for place in covered_bytes(raw):
        spoilt = bytearray(raw)
        spoilt[place] ^= flip
        path.write_bytes(spoilt)
        with pytest.raises(SeedTuneError) as caught:
            read_all(path)
        assert caught.value.file == str(path), place
        assert caught.value.remedy, place


def test_bytes_of_the_gaps_carry_nothing(filled: Callable[..., Path]) -> None:
    path = filled(LAYOUT, TOKENS)
    raw = path.read_bytes()
    expected = read_all(path)
    for place in set(range(len(raw))) - set(covered_bytes(raw)):
        spoilt = bytearray(raw)
        spoilt[place] ^= 0xFF
        path.write_bytes(spoilt)
        found = read_all(path)
        assert set(found) == set(expected)
        assert all(same_block(found[key], block) for key, block in expected.items())


def test_an_altered_block_says_where_and_does_not_hide_the_others(filled: Callable[..., Path]) -> None:
    path = filled(LAYOUT, TOKENS)
    raw = bytearray(path.read_bytes())
    entry = read_by_hand(bytes(raw))[1][1]
    raw[entry.offset + 70] ^= 4
    path.write_bytes(raw)
    with CacheFile(path, header_for(LAYOUT)) as cache:
        assert same_block(cache.block(key_of(0)), made_up_block(LAYOUT, 2, 0))
        for _ in range(2):
            with pytest.raises(SeedTuneError, match="a block of the context cache has been altered") as caught:
                cache.block(key_of(1))
            assert f"{entry.offset + 64:,}" in str(caught.value)


def test_zeros_in_place_of_an_entry_are_noticed(filled: Callable[..., Path]) -> None:
    """What a power cut can leave: the file has its new length, but not its content."""
    path = filled(LAYOUT, TOKENS)
    raw = path.read_bytes()
    start = read_by_hand(raw)[1][1].offset
    for end in (start + 64, len(raw)):
        path.write_bytes(raw[:start] + bytes(end - start) + raw[end:])
        with pytest.raises(SeedTuneError, match=r"altered"):
            read_all(path)


def test_the_cache_of_another_bundle_is_refused_and_kept(filled: Callable[..., Path]) -> None:
    path = filled(LAYOUT, TOKENS)
    before = path.read_bytes()
    with pytest.raises(SeedTuneError, match="belongs to another bundle") as caught:
        CacheFile(path, header_for(LAYOUT, "cd" * 32))
    assert "ab" * 32 in str(caught.value)
    assert "cd" * 32 in str(caught.value)
    assert "--cache" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [LAYOUTS["fp16"], ContextLayout(3, 3, 4, "int8"), ContextLayout(2, 4, 4, "int8"), ContextLayout(2, 3, 5, "int8")],
)
def test_the_cache_of_another_layout_is_refused(filled: Callable[..., Path], other: ContextLayout) -> None:
    path = filled(LAYOUT, TOKENS)
    with pytest.raises(SeedTuneError, match="another bundle"):
        CacheFile(path, header_for(other))


@pytest.mark.parametrize("raw", [b"S", b"SEEDTUNE" + bytes(200), b"thesis" * 999, bytes(4096)])
def test_what_is_no_cache_file_is_refused_and_kept(cache_path: Path, raw: bytes) -> None:
    cache_path.parent.mkdir()
    cache_path.write_bytes(raw)
    with pytest.raises(SeedTuneError, match="not a context cache") as caught:
        CacheFile(cache_path, header_for(LAYOUT))
    assert caught.value.file == str(cache_path)
    assert cache_path.read_bytes() == raw


def test_a_header_cut_by_a_full_disk_is_written_again_by_its_owner_only(filled: Callable[..., Path]) -> None:
    """A reader refuses any cut, and so does a writer of something else: nothing but a cut says whose file it was."""
    path = filled(LAYOUT, ())
    raw = path.read_bytes()
    for length in range(1, len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(SeedTuneError) as caught:
            CacheFile(path, header_for(LAYOUT), writable=False)
        assert caught.value.file == str(path)
        assert caught.value.remedy
        assert path.read_bytes() == raw[:length]
        if length >= len(MAGIC):
            CacheFile(path, header_for(LAYOUT)).close()
            assert path.read_bytes() == raw


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 - 1])
def test_another_version_is_called_so(filled: Callable[..., Path], version: int) -> None:
    path = filled(LAYOUT, TOKENS)
    raw = bytearray(path.read_bytes())
    raw[8:12] = version.to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(SeedTuneError, match="a format that this version does not read") as caught:
        CacheFile(path, header_for(LAYOUT))
    assert str(version) in str(caught.value)
