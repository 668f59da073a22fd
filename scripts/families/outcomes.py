"""What came of an architecture, and the file that keeps it: one JSON line each, so that a sweep can go on later."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Verdict = Literal["right", "refused", "not built", "not tried", "wrong", "crash"]
# What fails a sweep.
DEFECTS: tuple[Verdict, ...] = ("wrong", "crash")
# Of two trials of one architecture the first that stands here counts: a refusal of one scope is none of the other.
WORST_FIRST: tuple[Verdict, ...] = ("crash", "wrong", "not built", "right", "refused", "not tried")


@dataclass
class Outcome:
    """What came of one architecture.

    Attributes:
        key: of the architecture.
        name: its class in transformers.
        verdict: the worst of its trials, where one that is right outweighs refusals.
        reason: of a refusal of all trials, of a defect, or why it cannot be built tiny.
        scopes: that were tried.
        differences: trial ("suffix fp32") -> the largest difference from transformers, in nats.
        refusals: scope -> why.
        gradients: trial -> how far the gradient is from autograd's, relative.
        notices: scope -> what the exports said, such as why there is no gradient.
        seconds: that it took.
    """

    key: str
    name: str
    verdict: Verdict = "right"
    reason: str = ""
    scopes: list[str] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    notices: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0


def read(file: Path) -> dict[str, Outcome]:
    """Key -> outcome; of several lines of a key, each tells of its own scopes, and the last of a scope counts."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    found: dict[str, Outcome] = {}
    for line in lines:
        if line.strip():
            later = Outcome(**json.loads(line))
            found[later.key] = joined(found[later.key], later) if later.key in found else later
    return found


def joined(earlier: Outcome, later: Outcome) -> Outcome:
    """Both, where ``later`` was tried in other scopes; else ``later``."""
    kept = [scope for scope in earlier.scopes if scope not in later.scopes]
    if not kept:
        return later
    differences = {trial: value for trial, value in earlier.differences.items() if trial.split()[0] in kept}
    worst = min((earlier, later), key=lambda one: WORST_FIRST.index(one.verdict))
    return Outcome(
        later.key,
        later.name,
        worst.verdict,
        worst.reason,
        [*kept, *later.scopes],
        differences | later.differences,
        {scope: why for scope, why in earlier.refusals.items() if scope in kept} | later.refusals,
        {trial: value for trial, value in earlier.gradients.items() if trial.split()[0] in kept} | later.gradients,
        {scope: said for scope, said in earlier.notices.items() if scope in kept} | later.notices,
        earlier.seconds + later.seconds,
    )


def append(file: Path, outcome: Outcome) -> None:
    """Adds a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(asdict(outcome)) + "\n")


def defects(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that fail a sweep."""
    return [outcome for outcome in outcomes if outcome.verdict in DEFECTS]
