"""docs/reference/families.md, made of outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from families.outcomes import Outcome, Verdict

HEAD = """\
# Families

Made by `python scripts/families --write`; do not edit. Every architecture for which transformers has a causal or a
masked language-model head is made tiny, with random weights, exported in both scopes as fp32 and int8, tuned for two
steps, and evaluated on rows of up to {tokens} tokens. Beside it stands transformers' own model, which gets one row at a
time, nothing filled up, before and after these steps. A sliding window reaches back 30 tokens in scope `all`, and over
every row in scope `suffix`, which needs that.

- **right**: the largest difference of a log-probability, in nats, is what the table says. int8 rounds weights and
  inputs of layers; its figure shows that rounding.
- **refused**: the export stops and says why, before a bundle is written. Where only scope `suffix` is refused,
  `seedtune export` takes `all` by itself.
- **not built**: transformers does not make a tiny model of this type from a configuration, so nothing was tried.

A cell without a figure was not tried. A tiny model has all operators of its family and none of its size;
[limits](limits.md) says what was tried at full size.

{versions}. {counts}.
"""
TITLES: dict[Verdict, str] = {
    "wrong": "Wrong",
    "crash": "Crashes",
    "right": "Right",
    "refused": "Refused",
    "not built": "Not built",
    "not tried": "Not tried yet",
}


def page(outcomes: Sequence[Outcome], versions: Mapping[str, str], tokens: int) -> str:
    """The whole page.

    Args:
        outcomes: of all architectures.
        versions: library -> version.
        tokens: of the longest row.
    """
    grouped = {
        verdict: sorted((one for one in outcomes if one.verdict == verdict), key=lambda one: one.key)
        for verdict in TITLES
    }
    counts = ", ".join(f"{len(found)} {verdict}" for verdict, found in grouped.items() if found)
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [HEAD.format(tokens=tokens, versions=shown, counts=counts[:1].upper() + counts[1:])]
    for verdict, found in grouped.items():
        if found:
            parts.append(f"## {TITLES[verdict]}\n")
            parts.append(_right(found) if verdict == "right" else _by_reason(found))
    return "\n".join(parts)


def _right(found: Sequence[Outcome]) -> str:
    trials = list(dict.fromkeys(trial for one in found for trial in one.differences))
    trials.sort(key=lambda trial: (not trial.startswith("suffix"), not trial.endswith("fp32")))
    lines = [f"| type | class | {' | '.join(trials)} | why refused |", f"|---|---|{'---|' * len(trials)}---|"]
    for one in found:
        figures = " | ".join(_figure(one, trial) for trial in trials)
        refused = "; ".join(_cell(reason) for reason in one.refusals.values())
        lines.append(f"| {_type(one)} | {one.name} | {figures} | {refused} |")
    return "\n".join(lines) + "\n"


def _figure(one: Outcome, trial: str) -> str:
    if trial in one.differences:
        return f"{one.differences[trial]:.0e}"
    return "refused" if trial.split()[0] in one.refusals else ""


def _by_reason(found: Sequence[Outcome]) -> str:
    lines = ["| type | class | why |", "|---|---|---|"]
    by_reason = sorted(found, key=lambda one: (_cell(one.reason), one.key))
    for _, same in itertools.groupby(by_reason, key=lambda one: _cell(one.reason)):
        lines += [f"| {_type(one)} | {one.name} | {_cell(one.reason)} |" for one in same]
    return "\n".join(lines) + "\n"


def _type(one: Outcome) -> str:
    family, _, kind = one.key.partition(":")
    return f"{kind}, {family}"


def _cell(text: str) -> str:
    """Without what would end a cell, or make a link or a tag of it."""
    shown = " ".join(text.replace("|", "/").split())
    shown = shown if len(shown) <= 200 else f"{shown[:199]}…"
    return shown.replace("<", "&lt;").replace(">", "&gt;")
