"""For which rows a trace holds: a model may take another way for long rows, and a trace follows one way only.

torch.export notes what each comparison of a size with a number has decided (BigBird attends to blocks in rows of more
than 704 tokens, and to everything in shorter ones). The trace is right as long as all of them come out the same.
"""

from __future__ import annotations

from typing import Any

import torch

from seedtune.runtime.errors import SeedTuneError


def refuse_other_ways(program: torch.export.ExportedProgram, model: str, longest_tokens: int) -> int | None:
    """Refuses a trace that does not hold for all rows of a task; returns how long a row may be, None for any length.

    Args:
        program: whose inputs have rows and tokens of any number.
        model: the name of its class.
        longest_tokens: tokens that a row may have.

    Raises:
        SeedTuneError: the model takes another way for rows that long.
    """
    holds_to = min((most for size in _sizes(program) if (most := _most(program, size)) is not None), default=None)
    if holds_to is not None and holds_to < longest_tokens:
        raise SeedTuneError(
            f"{model} computes long rows in another way than short ones, and a graph can have one of them",
            value=f"rows of this task have up to {longest_tokens} tokens",
            rule=f"max_tokens <= {holds_to}",
            remedy=f"set max_tokens = {holds_to} or less in the task file, or choose another model",
        )
    return holds_to


def _sizes(program: torch.export.ExportedProgram) -> list[torch.SymInt]:
    """The sizes of inputs that may vary."""
    inputs = [node.meta.get("val") for node in program.graph.find_nodes(op="placeholder")]
    shapes: list[Any] = [value.shape for value in inputs if isinstance(value, torch.Tensor)]
    return [size for shape in shapes for size in shape if isinstance(size, torch.SymInt)]


def _most(program: torch.export.ExportedProgram, size: torch.SymInt) -> int | None:
    """The largest value of ``size`` that the trace holds for; None for any."""
    known = program.range_constraints.get(size.node.expr)
    return int(known.upper) if known is not None and known.upper.is_Integer else None
