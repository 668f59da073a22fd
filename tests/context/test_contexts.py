"""Contexts are the same blocks wherever they come from, and a cache computes and keeps only what it has to."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
from context_lab import block_alone, encoded_rows, read_by_hand, same_block, suffix_of, whole, without_context

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.blocks import LayeredBlock, Tokens, block_bytes
from seedtune.runtime.context.cache_file import CacheFile, entry_bytes
from seedtune.runtime.context.contexts import Contexts
from seedtune.runtime.context.maker import ContextMaker, context_key
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.task.example import Example

# Largest difference of a value, by storage: rounding of the products, then to the type (int8: of |values| up to 4).
ALLOWED = {"fp32": 1e-5, "fp16": 4e-3, "int8": 4e-2}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of rows of each call that computes contexts."""
    counts: list[int] = []
    make = ContextMaker.make

    def counting(self: ContextMaker, examples: Sequence[Example]) -> object:
        counts.append(len(examples))
        return make(self, examples)

    monkeypatch.setattr(ContextMaker, "make", counting)
    return counts


def values(block: LayeredBlock) -> dict[str, np.ndarray]:
    """Keys and values as numbers."""
    scales = {"keys": "key_scales", "values": "value_scales"}
    return {
        name: np.asarray(block[name], np.float32) * (np.asarray(block[scale], np.float32) if scale in block else 1)
        for name, scale in scales.items()
    }


@pytest.mark.parametrize("case", [("causal", "fp32"), ("causal", "fp16"), ("causal", "int8"), ("masked", "fp32")])
def test_with_a_cache_with_a_part_of_one_and_without_the_blocks_are_those_of_each_row_alone(
    bundle_of: Callable[..., Path], texts: list[str], tmp_path: Path, case: tuple[str, str]
) -> None:
    family, storage = case
    bundle = Bundle.open(bundle_of(family, "suffix", storage))
    rows = encoded_rows(bundle, texts[:14])
    total = Contexts(MappedGraphs(bundle), rows, tmp_path / "plan").plan().total_bytes
    order = [3, 0, 13, 7, 7, 1, 12, 3]
    found = {}
    for name, path, limit in (("none", None, None), ("part", "part", total // 2), ("all", "all", None)):
        contexts = Contexts(MappedGraphs(bundle, 1), rows, None if path is None else tmp_path / path, limit)
        list(contexts.build())
        found[name] = contexts.blocks(order)
    assert 0 < len(read_by_hand((tmp_path / "part").read_bytes())[1]) < len(rows) - 1
    for place, index in enumerate(order):
        expected = values(block_alone(bundle, rows[index]))
        for blocks in found.values():
            for name, array in values(blocks[place]).items():
                np.testing.assert_allclose(array, expected[name], atol=ALLOWED[storage], rtol=0)


def test_a_cached_block_is_the_one_that_was_computed(causal: Bundle, rows: list[Example], cache_path: Path) -> None:
    list(Contexts(MappedGraphs(causal, 1), rows, cache_path).build())
    first, second = (Contexts(MappedGraphs(causal), rows, cache_path) for _ in range(2))
    for one, other in zip(first.blocks(range(40)), second.blocks(range(40)), strict=True):
        assert same_block(one, other)
    _, entries = read_by_hand(cache_path.read_bytes())
    by_key = {entry.key: entry.block for entry in entries}
    for row, block in zip(rows, first.blocks(range(40)), strict=True):
        expected = by_key[context_key(row, True)] if len(row.ids) > len(suffix_of(row)) else b""
        assert block_bytes(whole(block)) == expected


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_keys_are_the_hash_of_what_a_block_depends_on(bundle_of: Callable[..., Path], family: str) -> None:
    bundle = Bundle.open(bundle_of(family, "suffix"))
    (row,) = encoded_rows(bundle, ["a good film"])
    kept = [place for place in range(len(row.ids)) if place not in suffix_of(row)]
    read = row.ids[kept].tolist() if family == "causal" else row.ids.tolist()
    raw = b"".join(struct.pack(f"<Q{len(part)}q", len(part), *part) for part in (read, kept))
    assert context_key(row, family == "causal") == hashlib.sha256(raw).digest()


def test_plan_and_file_agree_before_and_after(causal: Bundle, rows: list[Example], cache_path: Path) -> None:
    contexts = Contexts(MappedGraphs(causal, 1), rows, cache_path)
    lengths = [len(row.ids) - len(suffix_of(row)) for row in rows]
    before = contexts.plan()
    assert before.rows == before.kept_rows == before.missing_rows == sum(length > 0 for length in lengths)
    assert before.tokens == sum(lengths)
    empty = cache_path.stat().st_size
    empty += -empty % 64
    list(contexts.build())
    raw = cache_path.read_bytes()
    assert before.total_bytes == before.kept_bytes == before.missing_bytes == len(raw) + -len(raw) % 64 - empty
    assert sum(entry.tokens for entry in read_by_hand(raw)[1]) == before.tokens
    after = contexts.plan()
    assert (after.missing_rows, after.missing_bytes) == (0, 0)
    assert (after.rows, after.total_bytes) == (before.rows, before.total_bytes)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_limit_keeps_the_first_rows_that_fit(
    causal: Bundle, rows: list[Example], cache_path: Path, share: float
) -> None:
    limit = int(share * Contexts(MappedGraphs(causal), rows).plan().total_bytes)
    contexts = Contexts(MappedGraphs(causal, 1), rows, cache_path, limit)
    kept, used = set(), 0
    for row in rows:
        tokens = len(row.ids) - len(suffix_of(row))
        size = entry_bytes(contexts.layout, Tokens(tokens, 0))
        if tokens and used + size <= limit:
            kept.add(context_key(row, True))
            used += size
    plan = contexts.plan()
    assert (plan.kept_rows, plan.kept_bytes) == (len(kept), used)
    list(contexts.build())
    assert {entry.key for entry in read_by_hand(cache_path.read_bytes())[1]} == kept


@pytest.mark.parametrize("done", [1, 13, 38])
def test_a_build_goes_on_where_it_was_stopped(
    causal: Bundle, rows: list[Example], cache_path: Path, computed: list[int], done: int
) -> None:
    building = Contexts(MappedGraphs(causal, 1), rows, cache_path).build()
    assert [next(building) for _ in range(done)] == list(range(1, done + 1))
    assert isinstance(building, Generator)
    building.close()
    raw = cache_path.read_bytes()
    assert len(read_by_hand(raw)[1]) == done
    contexts = Contexts(MappedGraphs(causal, 1), rows, cache_path)
    plan = contexts.plan()
    assert plan.missing_rows == plan.rows - done
    list(contexts.build())
    assert computed == [plan.rows, plan.rows - done]
    assert cache_path.read_bytes()[: len(raw)] == raw
    # Whole now: not even a session is needed again.
    list(contexts.build())
    contexts.blocks(range(40))
    assert len(computed) == 2


def test_rows_appended_to_the_data_are_appended_to_the_cache(
    causal: Bundle, rows: list[Example], cache_path: Path, computed: list[int]
) -> None:
    list(Contexts(MappedGraphs(causal, 1), rows[:25], cache_path).build())
    raw = cache_path.read_bytes()
    list(Contexts(MappedGraphs(causal, 1), rows[::-1], cache_path).build())
    assert computed == [24, 15]
    assert cache_path.read_bytes()[: len(raw)] == raw
    assert len(read_by_hand(cache_path.read_bytes())[1]) == 39


def test_equal_rows_are_stored_and_computed_once(
    causal: Bundle, rows: list[Example], cache_path: Path, computed: list[int]
) -> None:
    relabelled = Example(rows[2].ids, rows[2].position, 1 - rows[2].label, rows[2].suffix)
    many = [rows[1], rows[2], rows[1], relabelled, rows[2]]
    contexts = Contexts(MappedGraphs(causal, 1), many, cache_path)
    assert contexts.plan().rows == 2
    list(contexts.build())
    assert computed == [2]
    assert len(read_by_hand(cache_path.read_bytes())[1]) == 2
    blocks = contexts.blocks(range(5))
    assert same_block(blocks[0], blocks[2])
    assert same_block(blocks[1], blocks[3])
    assert same_block(blocks[1], blocks[4])


def test_rows_without_a_context_take_no_place(
    causal: Bundle, rows: list[Example], cache_path: Path, computed: list[int]
) -> None:
    bare = [without_context(row) for row in rows[:3]]
    contexts = Contexts(MappedGraphs(causal, 1), bare, cache_path)
    assert contexts.plan().rows == contexts.plan().total_bytes == 0
    list(contexts.build())
    assert computed == []
    for block in contexts.blocks([2, 0]):
        assert {array.shape[2] for array in block.values()} == {0}
    assert read_by_hand(cache_path.read_bytes())[1] == []


def test_no_rows_are_no_contexts(causal: Bundle, cache_path: Path) -> None:
    contexts = Contexts(MappedGraphs(causal), [], cache_path)
    list(contexts.build())
    assert contexts.plan().rows == 0
    assert contexts.blocks([]) == []


def test_blocks_outlive_the_contexts_they_came_from(causal: Bundle, rows: list[Example], cache_path: Path) -> None:
    contexts = Contexts(MappedGraphs(causal, 1), rows[:3], cache_path)
    list(contexts.build())
    blocks = contexts.blocks([1, 2])
    file = contexts._file
    contexts.close()
    assert isinstance(file, CacheFile)
    assert file._file.closed
    again = Contexts(MappedGraphs(causal), rows[:3], cache_path).blocks([1, 2])
    assert all(same_block(one, other) for one, other in zip(blocks, again, strict=True))
