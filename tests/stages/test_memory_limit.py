"""What a memory limit leads to: choices that fit, limits that do not, and runs that differ in memory alone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import MemoryChoice
from seedtune.runtime.stages.memory_limit import Shape, choose
from seedtune.runtime.stages.streaming import StageFiles

HELD = 50_000_000
ROWS = Shape(longest_tokens=40, longest_context=0, longest_read=0, tokens_wanted=4000, parameters=10_000)
SUFFIXES = Shape(4, 200, 200, 400, 10_000, context_bytes=400_000, computed_contexts=True)
CACHED = Shape(1, 200, 200, 400, 10_000, context_bytes=400_000, layer_bytes=50_000)


def lines(path: Path) -> list[dict]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def chosen(bundle: Bundle, limit_bytes: int, shape: Shape, tokens_per_call: int | None = None) -> MemoryChoice:
    files = StageFiles.of(bundle)
    return choose(limit_bytes, files.plan, files.tensors, shape, HELD, tokens_per_call)


def smallest(bundle: Bundle, shape: Shape) -> int:
    """The smallest limit that a refusal names, in bytes."""
    with pytest.raises(SeedTuneError) as caught:
        chosen(bundle, 1, shape)
    assert caught.value.remedy is not None
    return int(re.findall(r"--memory-limit (\d+)M", caught.value.remedy)[0]) * 10**6


@pytest.mark.parametrize("shape", [ROWS, SUFFIXES, CACHED], ids=["whole rows", "suffixes", "cached contexts"])
def test_a_limit_is_kept_and_more_memory_never_does_less(deep_bundle: Bundle, shape: Shape) -> None:
    least = smallest(deep_bundle, shape)
    before = None
    for limit in range(least, least + 200_000_000, 2_000_000):
        choice = chosen(deep_bundle, limit, shape)
        assert HELD < choice.expected_bytes <= limit
        if before:
            # Rows for each reading of the weights come before rows a call, and before reading ahead.
            assert choice.tokens_in_flight >= before.tokens_in_flight
            assert choice.buffer_bytes >= before.buffer_bytes
            assert (choice.tokens_in_flight, choice.layer_calls) >= (before.tokens_in_flight, before.layer_calls)
        rows = choice.tokens_per_call // shape.longest_tokens
        assert choice.layer_buffer_bytes == choice.layer_calls * rows * shape.layer_bytes
        before = choice
    assert before
    assert before.tokens_in_flight == shape.tokens_wanted
    assert before.kept == deep_bundle.plan.streamed
    # Contexts in memory are copied, which nothing is gained by doing ahead.
    assert before.layer_calls == (2 if shape is CACHED else 1)


def test_the_smallest_limit_that_a_refusal_names_is_the_smallest(deep_bundle: Bundle) -> None:
    least = smallest(deep_bundle, ROWS)
    assert chosen(deep_bundle, least, ROWS).tokens_per_call >= ROWS.longest_tokens
    with pytest.raises(SeedTuneError, match="too small"):
        chosen(deep_bundle, least - 10**6, ROWS)


def test_calls_that_were_chosen_before_stay_as_they_were(deep_bundle: Bundle) -> None:
    assert chosen(deep_bundle, 10**9, ROWS, tokens_per_call=48).tokens_per_call == 48


@pytest.mark.parametrize("method", [("all",), ("suffix",), ("last", "--estimator", "gradient")], ids=" ".join)
def test_a_run_within_a_limit_takes_the_same_steps(
    method: tuple[str, ...],
    bundle_of: Callable[..., Path],
    tiny_data: SimpleNamespace,
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    scope, *estimator = method
    bundle = bundle_of("causal", scope)
    options = ["--train", tiny_data.train, "--eval", tiny_data.eval, "--steps", 4, "--batch-size", 8, "--threads", 1]
    options += estimator
    options += ["--eval-every", 2, "--cache", tmp_path / "cache", "--json", "--rows-per-call", 256]
    # Stages round otherwise than whole graphs do, and so would a probe that is solved from them.
    options += ["--start", "zero"]
    results = []
    for name, limit in (("plain", ()), ("limited", ("--memory-limit", "200M"))):
        done = seedtune("run", bundle, "--out", tmp_path / name, *options, *limit)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout.splitlines()[-1]))
        if limit:
            assert "memory limit 200 MB" in done.stderr
            assert results[-1]["memory_limit_bytes"] == 200_000_000
            assert results[-1]["vm_hwm_bytes"] <= 200_000_000
    if estimator:
        # Other last bits of a gradient, and AdamW takes a whole step where a gradient is next to nothing.
        losses = [[line["loss"] for line in lines(tmp_path / name / "steps.jsonl")] for name in ("plain", "limited")]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
        assert results[0]["loss_end"] == pytest.approx(results[1]["loss_end"], rel=1e-4)
    else:
        assert results[0]["state_sha256"] == results[1]["state_sha256"]
        assert results[0]["loss_end"] == results[1]["loss_end"]
    tuned = seedtune(
        "eval", tmp_path / "plain", "--data", tiny_data.eval, "--json", "--memory-limit", "200M", "--threads", 1
    )
    assert tuned.returncode == 0, tuned.stderr
    assert json.loads(tuned.stdout.splitlines()[-1])["loss"] == pytest.approx(results[0]["loss_end"], rel=1e-5)


def test_a_limit_below_what_is_needed_is_refused_before_anything_is_written(
    tiny_bundle: Path,
    tiny_data: SimpleNamespace,
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    done = seedtune("run", tiny_bundle, "--train", tiny_data.train, "--out", out, "--memory-limit", "20M")
    assert done.returncode != 0
    assert "the memory limit is too small" in done.stderr
    assert re.search(r"use --memory-limit \d+M", done.stderr)
    assert not (out / "run.json").exists()
    assert not (out / "journal.bin").exists()
