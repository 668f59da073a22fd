"""Rows that are split into context and suffix, and what graphs of scope "suffix" are fed for them.

Feeds are put together here with numpy and the context graph alone, not with the runtime's own code for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from export_lab import VOCABULARY, WORDS, Export

from seedtune.runtime.task.structure import Family

PADDING = 1


@dataclass(frozen=True, eq=False)
class SplitRow:
    """``ids`` [T]; ``suffix`` [S] places, ascending; ``position``, one of them, is scored against ``label``."""

    ids: np.ndarray
    suffix: np.ndarray
    position: int
    label: int

    @property
    def context(self) -> np.ndarray:
        """The other places, ascending, [P]."""
        return np.setdiff1d(np.arange(len(self.ids)), self.suffix)


# (context tokens, suffix tokens): all differ, one row is all suffix, and one is all context but the scored token.
SIZES = ((8, 3), (5, 2), (0, 4), (6, 1))


def split_rows(family: Family, sizes: Sequence[tuple[int, int]] = SIZES, seed: int = 5) -> list[SplitRow]:
    """Random rows. A causal suffix is the end of its row; places of a masked one stand anywhere, scored place too."""
    generator = np.random.default_rng(seed)
    rows = []
    for context, suffix in sizes:
        tokens = context + suffix
        places = np.arange(context, tokens)
        position = tokens - 1
        if family == "masked":
            places = np.sort(generator.choice(tokens, suffix, replace=False))
            position = int(generator.choice(places))
        ids, label = generator.integers(5, VOCABULARY, tokens), int(generator.integers(0, len(WORDS)))
        rows.append(SplitRow(ids, places, position, label))
    return rows


def contexts_of(
    session: onnxruntime.InferenceSession, family: Family, rows: Sequence[SplitRow]
) -> list[dict[str, np.ndarray]]:
    """What the context graph returns for each row, alone and at the places of its context: [layers, heads, P, ...]."""
    names = [output.name for output in session.get_outputs()]
    found = []
    for row in rows:
        # Of a causal row only the context is read: it cannot see the suffix. A masked context sees all of the row.
        read = row.context if family == "causal" else np.arange(len(row.ids))
        if not len(row.context):
            read = np.arange(1)
        ids = row.ids[read][None]
        outputs = dict(zip(names, session.run(names, {"ids": ids, "mask": np.ones_like(ids)}), strict=True))
        found.append({name: array[:, 0][:, :, row.context] for name, array in outputs.items()})
    return found


def suffix_feeds(
    session: onnxruntime.InferenceSession,
    family: Family,
    rows: Sequence[SplitRow],
    *,
    context_padding: int = 0,
    suffix_padding: int = 0,
    filler: np.random.Generator | None = None,
) -> dict[str, np.ndarray]:
    """What the eval graph reads besides the state.

    Args:
        session: over the context graph.
        family: "causal" or "masked".
        rows: of one batch.
        context_padding: places more than the longest context needs.
        suffix_padding: tokens more than the longest suffix needs.
        filler: fills padding with random content; None for zeros and the padding token.
    """
    blocks = contexts_of(session, family, rows)
    length = max(1, *(len(row.context) for row in rows)) + context_padding
    tokens = max(len(row.suffix) for row in rows) + suffix_padding
    feeds = {}
    for name, sample in blocks[0].items():
        shape = (sample.shape[0], len(rows), sample.shape[1], length, sample.shape[3])
        whole = np.zeros(shape, sample.dtype)
        if filler is not None:
            whole = (5 * filler.standard_normal(shape)).astype(sample.dtype)
        for index, block in enumerate(blocks):
            whole[:, index, :, : block[name].shape[2]] = block[name]
        feeds[name] = whole
    grid = (len(rows), tokens)
    ids, positions = np.full(grid, PADDING), np.zeros(grid, np.int64)
    if filler is not None:
        ids, positions = filler.integers(0, VOCABULARY, grid), filler.integers(0, tokens, grid)
    mask = np.zeros(grid, np.int64)
    for index, row in enumerate(rows):
        count = len(row.suffix)
        ids[index, :count], positions[index, :count], mask[index, :count] = row.ids[row.suffix], row.suffix, 1
    scored = [int(np.searchsorted(row.suffix, row.position)) for row in rows]
    return feeds | {
        "ids": ids.astype(np.int64),
        "mask": mask,
        "positions": positions.astype(np.int64),
        "position": np.array(scored, np.int64),
        "label": np.array([row.label for row in rows], np.int64),
        "context_length": np.array([len(row.context) for row in rows], np.int64),
    }


class SplitGraphs:
    """The graphs of a suffix export as sessions, opened when first used."""

    def __init__(self, export: Export) -> None:
        assert export.context is not None
        self.export = export
        self.context = export.context
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def session(self, name: str) -> onnxruntime.InferenceSession:
        """A session over "context", "eval", "gradient" or "probe"."""
        if name not in self._sessions:
            self._sessions[name] = self.export.session(name)
        return self._sessions[name]

    def feeds(self, rows: Sequence[SplitRow], **padding: Any) -> dict[str, np.ndarray]:
        """See :func:`suffix_feeds`."""
        return suffix_feeds(self.session("context"), self.export.family, rows, **padding)

    def evaluate(self, feeds: dict[str, np.ndarray], state: np.ndarray) -> np.ndarray:
        """Log-probabilities by the eval graph, [B, L]."""
        return self.session("eval").run(["log_probabilities"], feeds | {"state": state})[0]

    def probe(self, feeds: dict[str, np.ndarray], state: np.ndarray, seed: int, epsilon: float) -> np.ndarray:
        """Both sides' losses by the probe graph, [2, B]."""
        step = {"state": state, "seed": np.array([seed], np.int64), "epsilon": np.array([epsilon], np.float32)}
        return np.stack(self.session("probe").run(["loss_plus", "loss_minus"], feeds | step))

    def gradient(self, feeds: dict[str, np.ndarray], state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses [B] and the gradient of their sum [n] by the gradient graph."""
        session = self.session("gradient")
        read = {value.name for value in session.get_inputs()}
        losses, gradient = session.run(
            ["loss", "gradient"], {name: value for name, value in (feeds | {"state": state}).items() if name in read}
        )
        return losses, gradient
