"""What tracing gives: a graph without values, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from seedtune.exporter.trace.suffix_trunk import SuffixTrunk
from seedtune.runtime.bundle.objective import ContextLayout


@dataclass(frozen=True)
class Traced:
    """A traced model and what it reads.

    Attributes:
        model: by `trunk.trace`, or by `suffix_trunk.trace_suffix` where there is a context; from the first layer with
            state on.
        family: "causal" or "masked".
        context: None for scope "all".
        whole: the model from its embeddings on, which a context is computed by; None for scope "all".
        trunk: what ``whole`` is the model of.
    """

    model: ir.Model
    family: str
    context: ContextLayout | None = None
    whole: ir.Model | None = None
    trunk: SuffixTrunk | None = None
