"""Contenders take turns in processes of their own; one that cannot becomes a line of the table; ratios are of pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.step import BAR
from contenders.comparison import HEADINGS, ratios_of, row_of
from contenders.turns import Contender, interleave
from lab.exact_rows import write_rows
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.splits import load_split


@pytest.fixture
def gemm(tmp_path: Path) -> Contender:
    linears = [{"name": str(place), "in_features": 32, "out_features": 64} for place in range(3)]
    (tmp_path / "linears.json").write_text(json.dumps(linears))
    return Contender("gemm", "gemm", {"plain": str(tmp_path), "token_rows": 16, "threads": 1})


def test_every_counted_turn_of_a_contender_is_measured(gemm: Contender) -> None:
    gemm.start()
    try:
        interleave([gemm], 2)
    finally:
        gemm.end()
    assert gemm.refusal is None
    assert len(gemm.turns.milliseconds) == len(gemm.turns.major_faults) == len(gemm.turns.other_cores) == 2
    assert gemm.turns.extra["multiply_adds"] == 3 * 16 * 32 * 64
    assert 0 < gemm.peak_bytes <= gemm.rss_peak_bytes


def test_a_contender_that_cannot_start_says_why_and_the_others_go_on(gemm: Contender, tmp_path: Path) -> None:
    absent = Contender("forwards", "forwards", {"plain": str(tmp_path), "rows": "none.npz", "threads": 1})
    contenders = [absent, gemm]
    for contender in contenders:
        contender.start()
    try:
        interleave(contenders, 1)
    finally:
        for contender in contenders:
            contender.end()
    assert absent.refusal is not None
    assert "plain.onnx" in absent.refusal
    assert absent.refusal in row_of(absent)
    assert len(row_of(absent)) == len(row_of(gemm)) == len(HEADINGS)
    assert len(gemm.turns.milliseconds) == 1


@pytest.mark.parametrize("limit_bytes", [None, 500_000_000])
def test_a_step_of_seedtune_takes_its_turn_free_and_within_a_memory_limit(
    suffix_bundle: Path, tmp_path: Path, limit_bytes: int | None
) -> None:
    write_rows(suffix_bundle, tmp_path / "rows", rows=4, tokens=24)
    options = {"bundle": str(suffix_bundle), "rows": str(tmp_path / "rows.npz"), "threads": 1}
    options |= {"folder": str(tmp_path / "contexts"), "memory_limit_bytes": limit_bytes}
    step = Contender("step", "seedtune", options)
    step.start()
    try:
        interleave([step], 1)
    finally:
        step.end()
    assert step.refusal is None
    assert len(step.turns.milliseconds) == 1
    assert list((tmp_path / "contexts").glob("bench-*.contexts"))


def test_rounds_are_compared_in_pairs() -> None:
    step = Contender("step", "seedtune", {"storage": "int8", "scope": "all", "token_rows": 16})
    mezo = Contender("mezo", "mezo", {})
    step.turns.milliseconds, mezo.turns.milliseconds = [1.0, 10.0, 2.0], [7.0, 70.0, 2.0]
    step.peak_bytes, mezo.peak_bytes = 100, 1500
    step.rss_peak_bytes, mezo.rss_peak_bytes = 1000, 2000
    rows, ratios = ratios_of([step, mezo], BAR)
    assert ratios == {"step": {"mezo": 7.0, "mezo_rss_anon": 15.0, "mezo_rss": 2.0}}
    assert ("mezo / step", "7.00", ">= 6") in rows
    assert ("RssAnon: mezo / step", "15.0", ">= 10") in rows


def test_rows_have_exactly_as_many_tokens_as_asked_for(tiny_bundle: Path, tmp_path: Path) -> None:
    write_rows(tiny_bundle, tmp_path / "rows", rows=5, tokens=24)
    opened = Bundle.open(tiny_bundle)
    examples = load_split(tmp_path / "rows.jsonl", opened.compiled_task()).examples
    arrays = np.load(tmp_path / "rows.npz")
    assert [len(example.ids) for example in examples] == [24] * 5
    assert np.array_equal(arrays["ids"], np.stack([example.ids for example in examples]))
    assert arrays["label"].tolist() == [example.label for example in examples] == [0, 1, 0, 1, 0]
    assert tuple(arrays["words"]) == opened.manifest.language_model.label_word_ids
