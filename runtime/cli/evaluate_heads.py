"""What ``seedtune eval`` says of heads over features: how good they are, and were before any step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

import seedtune
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.telemetry.features import Quality, Score


def tell_quality(console: Console, model: Path, opened: seedtune.Model, result: Evaluation) -> dict[str, Any]:
    """Prints the quality of ``result``, by the state of ``opened``, beside that of the untouched bundle.

    Args:
        console: for people.
        model: the folder that was asked about.
        opened: what it stands for.
        result: its evaluation.

    Returns:
        The fields of ``--json`` that only heads have.
    """
    after = result.quality
    assert after is not None
    before = after
    if opened.step:
        with seedtune.open(opened.bundle.path, threads=opened.threads) as untouched:
            found = untouched.evaluate().quality
            assert found is not None
            before = found
    of = f" (state after {opened.step} steps)" if opened.is_run else ""
    console.print(f"{model}{of}: {opened.bundle.manifest.objective.summary}", highlight=False, soft_wrap=True)
    for line in _lines(before, after):
        console.print(line, highlight=False, soft_wrap=True)
    return {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}


def _lines(before: Quality, after: Quality) -> list[str]:
    lines = []
    for name in ("validation", "test"):
        earlier: Score | None = getattr(before, name)
        now: Score | None = getattr(after, name)
        if earlier is not None and now is not None:
            lines.append(
                f"{name}, {now.rows:,} rows: accuracy {earlier.accuracy:.1%} -> {now.accuracy:.1%}, "
                f"macro-F1 {earlier.macro_f1:.3f} -> {now.macro_f1:.3f}"
            )
    for was, head in zip(before.heads, after.heads, strict=True):
        line = f"{head.head} head: clean {was.natural:.1%} -> {head.natural:.1%}"
        if was.adversarial is not None and head.adversarial is not None:
            line += f", adversarial {was.adversarial:.1%} -> {head.adversarial:.1%}"
        if was.target is not None and head.target is not None:
            line += f" (as the attack has it {was.target:.1%} -> {head.target:.1%})"
        lines.append(line)
    return lines
