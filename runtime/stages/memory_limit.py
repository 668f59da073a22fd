"""What a memory limit leads to: how much of a batch goes through the stages at once, and which weights stay in memory.

All that a process holds counts: what it held before (interpreter, libraries, data), small tensors, the buffer of
streamed matrices, layers of cached contexts, and what batches take (`plan.GraphMemory`). Starting from the least that
works, memory goes to what saves most time first: more rows a call, more rows for each reading of the weights, one call
for all of them where there are no contexts, reading ahead, still more rows a call, matrices that stay.
What this was measured against is in docs/log/2026-11-23.md, "Memory limit".
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from seedtune.runtime.bundle.stage_plan import GRADIENT, PROBE, StagePlan
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import MemoryChoice
from seedtune.runtime.stages.tensors import Tensor
from seedtune.runtime.stages.weights import stage_bytes

# Sessions over stage graphs, threads, and pages of libraries and tables that are touched later.
ALLOWANCE_BYTES = 32 << 20
# The same where pages of libraries are given back on the way (`library_pages.py`).
ALLOWANCE_BESIDE_PAGES_BYTES = 24 << 20
# Blocks of an arena do not fit exactly.
ARENA_FACTOR = 1.5
# Copies of the state: what an update reads and writes, its noise, what an evaluation is given.
STATE_COPIES = 3
# Of one side. Products of fewer rows are slower, of more rows hardly faster (docs/log/2026-11-23.md, "int8").
FEWER_TOKENS_PER_CALL, TOKENS_PER_CALL = 64, 512
# The same where each row brings a context: reading ahead saves more than calls of more rows (docs/log/2026-11-28.md).
FEWER_TOKENS_BESIDE_CONTEXTS = 8
TOKENS_PER_CONTEXT_CALL = 512


@dataclass(frozen=True)
class Shape:
    """The rows of a run or an evaluation, and the state.

    Attributes:
        longest_tokens: T, computed tokens of the longest row: all of it, or its suffix.
        longest_context: P, tokens of the longest context.
        longest_read: tokens that the context graph reads of a row; 0 if it is not used.
        tokens_wanted: how many tokens of one side there are to compute before the weights change.
        parameters: values of the state.
        context_bytes: of the longest context's keys and values.
        computed_contexts: whether rows in flight hold their contexts, because these are in no cache file.
        layer_bytes: of one layer of the longest context's keys and values.
    """

    longest_tokens: int
    longest_context: int
    longest_read: int
    tokens_wanted: int
    parameters: int
    context_bytes: int = 0
    computed_contexts: bool = False
    layer_bytes: int = 0

    @property
    def held_context_bytes(self) -> int:
        """What a row in flight holds on top of what goes from stage to stage."""
        return self.context_bytes if self.computed_contexts else 0


def choose(
    limit_bytes: int,
    plan: StagePlan,
    tensors: Mapping[str, Tensor],
    shape: Shape,
    held_bytes: int,
    tokens_per_call: int | None = None,
    allowance_bytes: int = ALLOWANCE_BYTES,
) -> MemoryChoice:
    """The fastest way to stay under ``limit_bytes``.

    Args:
        limit_bytes: of everything the process holds, pages of files included.
        plan: the stages of the bundle.
        tensors: the header of its weights file.
        shape: of the rows.
        held_bytes: what the process holds already.
        tokens_per_call: of one side of a probe, where it cannot be chosen any more.
        allowance_bytes: for what is not reckoned: sessions, threads, libraries.

    Raises:
        SeedTuneError: there is no way; names the smallest limit that there is one for.
    """
    budget = _Budget(plan, tensors, shape, held_bytes + allowance_bytes)
    alone, ahead = budget.buffers()
    row = max(1, tokens_per_call or shape.longest_tokens)
    choice = MemoryChoice(limit_bytes, row, row, max(1, shape.longest_read), alone)
    if budget.bytes_of(choice) > limit_bytes:
        needed = budget.bytes_of(choice)
        raise SeedTuneError(
            "the memory limit is too small for this bundle and these rows",
            value=f"{limit_bytes / 1e6:,.0f} MB",
            rule=f"at least {-(-needed // 10**6):,} MB, of which the process holds {held_bytes / 1e6:,.0f} MB already",
            remedy=f"use --memory-limit {-(-needed // 10**6)}M, shorter rows (max_tokens of the task), or int8",
        )

    def upgraded(better: MemoryChoice) -> MemoryChoice:
        return better if budget.bytes_of(better) <= limit_bytes else choice

    def grow_calls(most_tokens: int) -> MemoryChoice:
        better = choice
        tokens = better.tokens_per_call
        most = min(most_tokens, shape.tokens_wanted)
        while tokens_per_call is None and tokens < most:
            tokens = min(2 * tokens, most)
            fits = upgraded(
                replace(choice, tokens_per_call=tokens, tokens_in_flight=max(tokens, choice.tokens_in_flight))
            )
            better = fits if fits is not choice else better
        return better

    # Further doublings of a call save less time than what follows.
    choice = grow_calls(FEWER_TOKENS_BESIDE_CONTEXTS if shape.longest_context else FEWER_TOKENS_PER_CALL)
    while choice.tokens_in_flight < shape.tokens_wanted:
        better = upgraded(replace(choice, tokens_in_flight=min(2 * choice.tokens_in_flight, shape.tokens_wanted)))
        if better is choice:
            break
        choice = better
    if any(stage.together for stages in plan.graphs.values() for stage in stages):
        choice = upgraded(replace(choice, together=True))
    choice = upgraded(replace(choice, buffer_bytes=ahead))
    if shape.layer_bytes and not shape.computed_contexts:
        choice = upgraded(replace(choice, layer_calls=2))
    while shape.longest_read and choice.tokens_per_context_call < TOKENS_PER_CONTEXT_CALL:
        tokens = min(2 * choice.tokens_per_context_call, TOKENS_PER_CONTEXT_CALL)
        better = upgraded(replace(choice, tokens_per_context_call=tokens))
        if better is choice:
            break
        choice = better
    choice = grow_calls(TOKENS_PER_CALL)
    left = limit_bytes - budget.bytes_of(choice)
    kept = []
    for name in plan.streamed:
        left -= tensors[name].size_bytes
        if left < 0:
            break
        kept.append(name)
    choice = replace(choice, kept=tuple(kept))
    return replace(
        choice,
        context_tokens_per_call=budget.rows_with_contexts(choice) * max(1, shape.longest_context),
        layer_buffer_bytes=budget.layer_bytes(choice),
        expected_bytes=budget.bytes_of(choice),
    )


@dataclass(frozen=True)
class _Budget:
    plan: StagePlan
    tensors: Mapping[str, Tensor]
    shape: Shape
    other_bytes: int

    def buffers(self) -> tuple[int, int]:
        """The buffer for one stage at a time, and for one more ahead."""
        alone = ahead = 0
        for stages in self.plan.graphs.values():
            sizes = [stage_bytes(list(stage.weights.values()), self.tensors, self.plan.roles) for stage in stages]
            alone = max(alone, *sizes)
            ahead = max(ahead, *(a + b for a, b in itertools.pairwise(sizes)), alone)
        return alone, ahead

    def bytes_of(self, choice: MemoryChoice) -> int:
        """What the process holds at its peak."""
        resident = sum(self.tensors[name].size_bytes for name in self.plan.resident)
        kept = sum(self.tensors[name].size_bytes for name in choice.kept)
        state = STATE_COPIES * 4 * self.shape.parameters
        batches = max(self._batches(graph, choice) for graph in self.plan.graphs)
        buffers = choice.buffer_bytes + self.layer_bytes(choice)
        return self.other_bytes + resident + kept + state + buffers + batches

    def layer_bytes(self, choice: MemoryChoice) -> int:
        """What layers of cached contexts take."""
        return choice.layer_calls * self.rows_with_contexts(choice) * self.shape.layer_bytes

    def rows_with_contexts(self, choice: MemoryChoice) -> int:
        """How many rows with the longest context a call has, of whichever graph."""
        return max(1, choice.tokens_per_call // max(1, self.shape.longest_tokens))

    def _batches(self, graph: str, choice: MemoryChoice) -> int:
        """What the batches in flight of ``graph`` take."""
        memory, shape = self.plan.memory[graph], self.shape
        if graph == "context":
            if not shape.longest_read:
                return 0
            rows = max(1, choice.tokens_per_context_call // shape.longest_read)
            # On top of what the graph returns: the block that is being written, and rows that are kept nowhere else.
            blocks = 1 + (self._rows_in_flight(choice, 2) if shape.computed_contexts else 0)
            held = memory.held.of(rows, shape.longest_read) + blocks * shape.context_bytes
            return held + int(ARENA_FACTOR * memory.running.of(rows, shape.longest_read))
        tokens, sides = max(1, shape.longest_tokens), 1 if graph in (PROBE, GRADIENT) else 2
        rows = max(1, sides * choice.tokens_per_call // tokens)
        rows_in_flight = self._rows_in_flight(choice, sides)
        held = memory.held.of(rows_in_flight, tokens, shape.longest_context) + rows_in_flight * shape.held_context_bytes
        if graph == GRADIENT:
            # Each call in flight has one of its own, in float32.
            held += -(-rows_in_flight // rows) * 4 * shape.parameters
        # A call of short contexts has more rows, but no more tokens of contexts.
        contexts = memory.running.of_contexts(self.rows_with_contexts(choice), tokens, shape.longest_context)
        running = memory.running.of(rows, tokens) + contexts
        if choice.together and graph != GRADIENT:
            # Side by side as well as call by call.
            held += memory.held.of(rows_in_flight, tokens)
            running = max(running, memory.running.of(rows_in_flight, tokens))
        return held + int(ARENA_FACTOR * running)

    def _rows_in_flight(self, choice: MemoryChoice, sides: int) -> int:
        return max(1, -(-sides * choice.tokens_in_flight // max(1, self.shape.longest_tokens)))
