"""From what contenders took in their turns to a table, to ratios and to their bars."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from contenders.turns import Contender, energy_joules
from lab.report import megabytes

HEADINGS = ("", "median", "spread", "peak RSS", "peak RssAnon", "faults", "other load", "energy")
NAMES = {
    "forwards": "two plain forward passes, ONNX Runtime",
    "gemm": "GEMM alone, float32",
    "mezo": "MeZO, PyTorch",
    "lora": "LoRA with AdamW, PyTorch",
    "training": "LoRA with AdamW, onnxruntime-training 1.19.2",
}
# Beyond this share of the cores a comparison of times is doubtful: a guess.
OTHER_LOAD_BAR = 0.05


def row_of(contender: Contender) -> tuple[str, ...]:
    """One line under HEADINGS."""
    turns = contender.turns
    if contender.refusal is not None or not turns.milliseconds:
        return (contender.name, "-", contender.refusal or "took no turn", "", "", "", "", "")
    spread = f"{min(turns.milliseconds):,.0f} to {max(turns.milliseconds):,.0f} ms"
    if "gflops" in turns.extra:
        spread += f", {turns.extra['gflops']:,.0f} GFLOP/s"
    energy = f"{statistics.median(turns.joules):.1f} J" if turns.joules else "not readable"
    return (
        contender.name,
        f"{statistics.median(turns.milliseconds):,.0f} ms",
        spread,
        megabytes(contender.rss_peak_bytes),
        megabytes(contender.peak_bytes),
        f"{statistics.median(turns.major_faults):,.0f}",
        f"{statistics.fmean(turns.other_cores):.2f} cores",
        energy,
    )


def described(contender: Contender) -> dict[str, Any]:
    """Everything of a contender, for the line of JSON."""
    turns = contender.turns
    return {
        "kind": contender.kind,
        "storage": contender.options.get("storage"),
        "scope": contender.options.get("scope"),
        "token_rows": contender.options.get("token_rows"),
        "refusal": contender.refusal,
        "milliseconds": turns.milliseconds,
        "milliseconds_median": statistics.median(turns.milliseconds) if turns.milliseconds else None,
        "major_faults": turns.major_faults,
        "other_cores": turns.other_cores,
        "joules": turns.joules or None,
        "energy_readable": energy_joules() is not None,
        "ready_seconds": contender.ready_seconds,
        "rss_peak_bytes": contender.rss_peak_bytes,
        "rss_anon_peak_bytes": contender.peak_bytes,
        "rss_anon_peak_bytes_loading": contender.setup_peak_bytes,
        **turns.extra,
    }


def ratios_of(
    contenders: Sequence[Contender], bars: Mapping[str, str]
) -> tuple[list[tuple[str, str, str]], dict[str, dict[str, float]]]:
    """(what, measured, bar) of every ratio that can be formed, and the same ratios by name of the step.

    Ratios of time are medians over rounds, so that a slow stretch of the machine meets both sides.

    Args:
        contenders: after their turns.
        bars: ``BAR`` of `bench/step.py`.
    """
    ran = {contender.kind: contender for contender in contenders if contender.turns.milliseconds}
    gemms = {one.options["token_rows"]: one for one in contenders if one.kind == "gemm" and one.turns.milliseconds}
    rows: list[tuple[str, str, str]] = []
    ratios: dict[str, dict[str, float]] = {}
    for step in contenders:
        if step.kind != "seedtune" or not step.turns.milliseconds:
            continue
        storage, scope = step.options["storage"], step.options["scope"]
        # The bars of time are those of scope "all"; with "suffix" the step computes a part of the rows.
        named = f"{storage}, scope {scope}"
        found = ratios[step.name] = {}
        if "forwards" in ran:
            found["forwards"] = _times(step, ran["forwards"])
            bar = bars.get(f"{named} / two forwards", "")
            rows.append((f"{step.name} / two forwards", f"{found['forwards']:.3f}", bar))
        if gemm := gemms.get(step.options["token_rows"]):
            found["gemm"] = _times(step, gemm)
            rows.append((f"{step.name} / {gemm.name}", f"{found['gemm']:.3f}", ""))
        for kind in ("mezo", "lora", "training"):
            if kind not in ran:
                continue
            found[kind] = _times(ran[kind], step)
            bar = bars.get(f"MeZO / {named}", "") if kind == "mezo" else ""
            rows.append((f"{ran[kind].name} / {step.name}", f"{found[kind]:.2f}", bar))
        if "mezo" in ran and step.peak_bytes:
            found["mezo_rss_anon"] = ran["mezo"].peak_bytes / step.peak_bytes
            found["mezo_rss"] = ran["mezo"].rss_peak_bytes / step.rss_peak_bytes
            what = f"{ran['mezo'].name} / {step.name}"
            rows.append((f"RssAnon: {what}", f"{found['mezo_rss_anon']:.1f}", bars["RssAnon of MeZO / step"]))
            rows.append((f"RSS, droppable pages of weights included: {what}", f"{found['mezo_rss']:.1f}", ""))
    others = statistics.fmean([cores for one in ran.values() for cores in one.turns.other_cores] or [0.0])
    quiet = OTHER_LOAD_BAR * (os.cpu_count() or 1)
    rows.append(("processors that other work kept busy", f"{others:.2f}", f"<= {quiet:.2f}, else no time here counts"))
    return rows, ratios


def _times(first: Contender, second: Contender) -> float:
    pairs = zip(first.turns.milliseconds, second.turns.milliseconds, strict=False)
    return statistics.median(a / b for a, b in pairs)
