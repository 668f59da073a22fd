"""What a memory limit leads to: how much of a batch goes through the stages at once, and which weights stay in memory.

All that a process holds counts: what it held before (interpreter, libraries, data), small tensors, the buffer of
streamed matrices, and what batches take (`plan.GraphMemory`). Starting from the least that works, memory goes to what
saves most time first: more rows a call, reading ahead, more rows for each reading of the weights, matrices that stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.plan import StagePlan
from seedtune.runtime.stages.tensors import Tensor
from seedtune.runtime.stages.weights import stage_bytes

# Sessions over stage graphs, threads, and pages of libraries and tables that are touched later.
ALLOWANCE_BYTES = 24 << 20
# Each kind of stage has an arena of its own that keeps its memory, and blocks of an arena do not fit exactly.
ARENA_FACTOR = 1.5
# Copies of the state: what an update reads and writes, its noise, what an evaluation is given.
STATE_COPIES = 3
# Beyond this many rows of both sides a product is no faster, and int8 products are slower (docs/log.md, "int8").
TOKENS_PER_CALL = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Shape:
    """The rows of a run: its longest row and prefix in tokens (T counts the suffix only, where there is one), how many
    tokens of one side a probe has in all, and the values of the state."""

    longest_tokens: int
    longest_prefix: int
    tokens_of_probe: int
    parameters: int


@dataclass(frozen=True)
class MemoryChoice:
    """What fits.

    Attributes:
        limit_bytes: as the user gave it.
        tokens_per_call: of one side.
        tokens_in_flight: of one side; for so many, each matrix is read once.
        buffer_bytes: for streamed matrices.
        kept: matrices that stay in memory.
        expected_bytes: what the process will hold at its peak.
    """

    limit_bytes: int
    tokens_per_call: int
    tokens_in_flight: int
    buffer_bytes: int
    expected_bytes: int = 0
    kept: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return (
            f"memory limit {self.limit_bytes / 1e6:,.0f} MB: {self.tokens_per_call} tokens a call, weights read once for "
            f"{self.tokens_in_flight:,} tokens through a buffer of {self.buffer_bytes / 1e6:,.0f} MB, {len(self.kept)} "
            f"matrices kept; expected peak {self.expected_bytes / 1e6:,.0f} MB"
        )


def choose(
    limit_bytes: int, plan: StagePlan, tensors: Mapping[str, Tensor], shape: Shape, held_bytes: int
) -> MemoryChoice:
    """The fastest way to stay under ``limit_bytes``.

    Args:
        limit_bytes: of everything the process holds, pages of files included.
        plan: the stages of the bundle.
        tensors: the header of its weights file.
        shape: of the rows.
        held_bytes: what the process holds already.

    Raises:
        SeedTuneError: there is no way; names the smallest limit that there is one for.
    """
    budget = _Budget(plan, tensors, shape, held_bytes)
    alone, ahead = budget.buffers()
    row = max(1, shape.longest_tokens)
    choice = MemoryChoice(limit_bytes, row, row, alone)
    if budget.bytes_of(choice) > limit_bytes:
        needed = budget.bytes_of(choice)
        raise SeedTuneError(
            "the memory limit is too small for this bundle and these rows",
            value=f"{limit_bytes / 1e6:,.0f} MB",
            rule=f"at least {-(-needed // 10**6):,} MB, of which the process holds {held_bytes / 1e6:,.0f} MB already",
            remedy=f"use --memory-limit {-(-needed // 2**20)}M, shorter rows (max_tokens of the task), or --storage int8",
        )

    def upgraded(better: MemoryChoice) -> MemoryChoice:
        return better if budget.bytes_of(better) <= limit_bytes else choice

    for tokens in TOKENS_PER_CALL[:-1]:
        if tokens > row:
            choice = upgraded(replace(choice, tokens_per_call=tokens, tokens_in_flight=tokens))
    choice = upgraded(replace(choice, buffer_bytes=ahead))
    in_flight = choice.tokens_in_flight
    while in_flight < shape.tokens_of_probe:
        in_flight = min(2 * in_flight, shape.tokens_of_probe)
        choice = upgraded(replace(choice, tokens_in_flight=in_flight))
    if TOKENS_PER_CALL[-1] > row:
        choice = upgraded(replace(choice, tokens_per_call=TOKENS_PER_CALL[-1]))
    left = limit_bytes - budget.bytes_of(choice)
    kept = []
    for name in plan.streamed:
        left -= tensors[name].size_bytes
        if left < 0:
            break
        kept.append(name)
    choice = replace(choice, kept=tuple(kept))
    return replace(choice, expected_bytes=budget.bytes_of(choice))


@dataclass(frozen=True)
class _Budget:
    plan: StagePlan
    tensors: Mapping[str, Tensor]
    shape: Shape
    held_bytes: int

    def buffers(self) -> tuple[int, int]:
        """The buffer for one stage at a time, and for one more ahead."""
        alone = ahead = 0
        for stages in self.plan.graphs.values():
            sizes = [stage_bytes(list(stage.weights.values()), self.tensors, self.plan.roles) for stage in stages]
            alone = max(alone, *sizes)
            ahead = max(ahead, *(a + b for a, b in itertools.pairwise(sizes)))
        return alone, ahead

    def bytes_of(self, choice: MemoryChoice) -> int:
        """What the process holds at its peak."""
        resident = sum(self.tensors[name].size_bytes for name in _used(self.plan, "resident"))
        kept = sum(self.tensors[name].size_bytes for name in choice.kept)
        state = STATE_COPIES * 4 * self.shape.parameters
        return (
            self.held_bytes
            + ALLOWANCE_BYTES
            + resident
            + kept
            + state
            + choice.buffer_bytes
            + max(self._batches(graph, choice) for graph in self.plan.graphs)
        )

    def _batches(self, graph: str, choice: MemoryChoice) -> int:
        memory = self.plan.memory[graph]
        tokens, prefix = self.shape.longest_tokens, self.shape.longest_prefix
        rows = max(1, choice.tokens_per_call // max(1, tokens))
        rows_in_flight = max(rows, -(-choice.tokens_in_flight // max(1, tokens)))
        held = memory.held.of(rows_in_flight, tokens, prefix)
        return held + int(ARENA_FACTOR * memory.running.of(rows, tokens, prefix))


def _used(plan: StagePlan, role: str) -> Sequence[str]:
    names = (name for stages in plan.graphs.values() for stage in stages for name in stage.weights.values())
    return [name for name in dict.fromkeys(names) if plan.roles[name] == role]
