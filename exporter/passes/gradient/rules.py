"""All rules, and the operators behind which there is no gradient."""

from __future__ import annotations

from seedtune.exporter.passes.gradient import (
    activations,
    elementwise,
    layout,
    normalisation,
    products,
    reductions,
    selection,
    slices,
)
from seedtune.exporter.passes.gradient.backward import Rule

RULES: dict[str, Rule] = {
    **activations.RULES,
    **elementwise.RULES,
    **layout.RULES,
    **normalisation.RULES,
    **products.RULES,
    **reductions.RULES,
    **selection.RULES,
    **slices.RULES,
}
# Their values are integers, truths or steps: a small change of what they read changes nothing.
FLAT = {
    "And", "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less",
    "LessOrEqual", "NonZero", "Not", "Or", "Round", "Shape", "Sign", "Size", "Xor",
}  # fmt: skip
# Operator -> the operand of which only the type counts.
ONLY_TYPE = {"CastLike": 1}
