"""What graphs of scope "suffix" and "last" are fed: the last tokens of rows, and what is kept of the tokens before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.token_rows import grouped, padded
from seedtune.runtime.batches.types import Batch, Integers, Work
from seedtune.runtime.context.blocks import ENTERING, entering_states, side_by_side
from seedtune.runtime.context.contexts import Contexts
from seedtune.runtime.task.example import Example

# Cached tokens of one call of a whole graph, which reads a copy of them all, and the most that the copy may take. Fewer
# save memory and cost time: every call lays the weights out anew (docs/log/2026-11-26.md, "Calls of OPT-1.3B").
CONTEXT_TOKENS_PER_CALL = 2048
CONTEXT_BYTES_PER_CALL = 128 << 20


class SuffixRows:
    """:class:`~seedtune.runtime.data.batches.Feeder` for graphs that read the suffix and find the context kept."""

    unit = "tokens"

    def __init__(
        self,
        examples: Sequence[Example],
        padding_id: int,
        contexts: Contexts,
        context_tokens_per_call: int | None = None,
    ) -> None:
        self.examples = examples
        self.padding_id = padding_id
        self.contexts = contexts
        self._context_limit = context_tokens_per_call or min(
            CONTEXT_TOKENS_PER_CALL, max(1, CONTEXT_BYTES_PER_CALL // contexts.layout.bytes_per_token)
        )

    def __len__(self) -> int:
        return len(self.examples)

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """See :class:`~seedtune.runtime.data.batches.Feeder`; shortest context first."""
        wanted = [int(index) for index in indices]
        sizes = [(self.contexts.tokens[index].context, len(_suffix(self.examples[index]))) for index in wanted]
        for group in grouped(sizes, (self._context_limit, limit)):
            chosen = [wanted[place] for place in group]
            rows = [self.examples[index] for index in chosen]
            ids, mask = padded([row.ids[_suffix(row)] for row in rows], self.padding_id)
            positions, _ = padded([_suffix(row) for row in rows], 0)
            blocks = self.contexts.blocks(chosen)
            cached = side_by_side(blocks, self.contexts.layout)
            lengths = np.array([self.contexts.tokens[index].context for index in chosen], np.int64)
            context_tokens = len(chosen) * cached["keys"].shape[3]
            arrays: dict[str, npt.NDArray[Any]] = {"ids": ids}
            if self.contexts.layout.entering:
                arrays = {ENTERING: entering_states(blocks)}
            arrays |= {
                "mask": mask,
                "positions": positions,
                **_what_is_right(rows),
                "context_length": lengths,
            }
            work = Work(int(ids.size), int(ids.size - mask.sum()), context_tokens, int(context_tokens - lengths.sum()))
            yield Batch(arrays, group, work, cached)
            # Held here too, the last batch would still take its memory while the next one is made.
            del cached, blocks


def _what_is_right(rows: Sequence[Example]) -> dict[str, Integers]:
    """The label and where it is asked for, or the response."""
    targets = [row.targets for row in rows if row.targets is not None]
    if targets:
        return {"target": padded(targets, 0)[0]}
    return {
        "position": np.array([np.searchsorted(_suffix(row), row.position) for row in rows], np.int64),
        "label": np.array([row.label for row in rows], np.int64),
    }


def _suffix(example: Example) -> Integers:
    assert example.suffix is not None
    return example.suffix
