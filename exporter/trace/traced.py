"""What tracing gives: a graph without values, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from seedtune.runtime.bundle.objective import PrefixLayout


@dataclass(frozen=True)
class Traced:
    """A traced model and what it reads.

    Attributes:
        model: by `trunk.trace`, or by `suffix_trunk.trace_suffix` where there is a prefix; from the first layer with
            state on.
        family: "causal" or "masked".
        prefix: None for scope "all".
        whole: the model from its embeddings on, which a prefix is computed by; None for scope "all".
    """

    model: ir.Model
    family: str
    prefix: PrefixLayout | None = None
    whole: ir.Model | None = None
