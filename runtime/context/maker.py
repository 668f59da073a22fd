"""Computes the blocks of examples with the context graph.

A causal model reads the context alone, where nothing else of the row is kept. A masked one reads the whole row, because
its text sees the mask as well, and so does every model of which the hidden states that enter the first layer with
state are kept. The keys and values of the suffix, which are computed on the way, are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from seedtune.runtime.batches.token_rows import grouped, padded
from seedtune.runtime.batches.types import Batch, Integers, Work
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.objective import ContextLayout, LanguageModel
from seedtune.runtime.context.blocks import ENTERING, Block, Tokens
from seedtune.runtime.graphs.types import Graph
from seedtune.runtime.task.example import Example

# Tokens of a call; bounds memory, together with what a call returns: this many tokens' keys and values.
TOKENS_PER_CALL = 512
RETURNED_BYTES = 32 << 20


class ContextMaker:
    """See the module docstring."""

    def __init__(self, graph: Graph, manifest: Manifest, tokens_per_call: int | None = None) -> None:
        assert manifest.language_model.context is not None
        self._graph = graph
        self._context_alone = reads_context_alone(manifest.language_model)
        self._padding_id = manifest.language_model.model.padding_id
        layout = manifest.language_model.context
        returned = RETURNED_BYTES // (layout.bytes_per_token + layout.bytes_per_suffix_token)
        self._limit = tokens_per_call or max(1, min(TOKENS_PER_CALL, returned))

    def make(self, examples: Sequence[Example]) -> Iterator[tuple[int, Block]]:
        """The place and the block of each example of which something is read, those of similar length together."""
        read = [read_ids(example, self._context_alone) for example in examples]
        places = [place for place, ids in enumerate(read) if len(ids)]
        names = list(self._graph.outputs)
        for index, found in self._graph.run(names, self._batches(read, places), {}):
            for row, place in enumerate(index.tolist()):
                kept, suffix = _as_slice(context_places(examples[place])), examples[place].suffix
                yield (
                    place,
                    {
                        name: array[row][None, suffix] if name == ENTERING else array[:, row][:, :, kept]
                        for name, array in zip(names, found, strict=True)
                    },
                )
            # Else it would take its memory while the next one is made.
            del found

    def _batches(self, read: Sequence[Integers], places: Sequence[int]) -> Iterator[Batch]:
        for group in grouped([(len(read[place]),) for place in places], (self._limit,)):
            chosen = np.array([places[item] for item in group], np.int64)
            ids, mask = padded([read[place] for place in chosen], self._padding_id)
            yield Batch({"ids": ids, "mask": mask}, chosen, Work(int(ids.size), int(ids.size - mask.sum())))


def _as_slice(places: Integers) -> Integers | slice:
    """The first tokens of a row as a slice, which copies nothing."""
    return slice(0, len(places)) if not len(places) or places[-1] == len(places) - 1 else places


def context_places(example: Example) -> Integers:
    """The places of the tokens that are not in the suffix, ascending, [P] int64."""
    assert example.suffix is not None
    return np.setdiff1d(np.arange(len(example.ids)), example.suffix)


def kept_tokens(example: Example, layout: ContextLayout) -> Tokens:
    """Of how many tokens of ``example`` something is kept."""
    assert example.suffix is not None
    return Tokens(len(context_places(example)), len(example.suffix) if layout.entering else 0)


def reads_context_alone(objective: LanguageModel) -> bool:
    """Whether what is kept of a row follows from its context alone, so that rows that begin alike share it."""
    return objective.model.family == "causal" and not (objective.context and objective.context.entering)


def read_ids(example: Example, context_alone: bool) -> Integers:
    """The tokens that the context graph reads for ``example``."""
    # Of a causal row the suffix follows the context; of a masked one it may stand anywhere.
    return example.ids[context_places(example)] if context_alone else example.ids


def context_key(example: Example, context_alone: bool) -> bytes:
    """SHA-256 of all that the block of ``example`` depends on besides the bundle: tokens read, and places kept."""
    digest = hashlib.sha256()
    for part in (read_ids(example, context_alone), context_places(example)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.astype("<i8").tobytes())
    return digest.digest()
