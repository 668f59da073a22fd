"""Runs a graph stage by stage: each stage for all batches in flight, then the next one.

A stage that may take the rows of all of them at once (`Stage.together`) does so where the choice says that there is
memory for it: then its matrices are laid out once, and not for every batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from seedtune.runtime.batches.types import Batch, Integers
from seedtune.runtime.bundle.stage_plan import Stage
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.types import Array
from seedtune.runtime.stages.ahead import ReadAhead
from seedtune.runtime.stages.layer_buffer import LayerBuffer, Wanted
from seedtune.runtime.stages.library_pages import PageGuard
from seedtune.runtime.stages.together import Together, Values
from seedtune.runtime.stages.weights import Addresses, StreamedWeights


class StagedGraph:
    """:class:`~seedtune.runtime.graphs.types.Graph` whose weights are streamed.

    Args:
        folder: of the bundle.
        stages: of the graph, in order.
        weights: shared by the graphs of a bundle; one of them runs at a time.
        layers: of cached contexts; likewise.
        tokens_in_flight: tokens of one side of all batches that go through the stages together. Weights are read once
            for them; what passes from stage to stage is held for all of them.
        guard: looks at what the process holds, before each stage.
        threads: of ONNX Runtime.
        gives_back: whether it returns free memory of the arena to the system after the batches in flight.
        together: whether stages that may take all batches in flight at once do.
    """

    def __init__(
        self,
        folder: Path,
        stages: Sequence[Stage],
        weights: StreamedWeights,
        layers: LayerBuffer,
        tokens_in_flight: int,
        guard: PageGuard,
        threads: int | None = None,
        gives_back: bool = False,
        together: bool = False,
    ) -> None:
        self._stages = stages
        self._weights = weights
        self._layers = layers
        self._tokens_in_flight = tokens_in_flight
        self._guard = guard
        self._last_run = onnxruntime.RunOptions()
        if gives_back:
            self._last_run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._sessions = {file: open_session(folder / file, threads) for file in {stage.graph for stage in stages}}
        self._last_use = {name: number for number, stage in enumerate(stages) for name in stage.values.values()}
        # Of stage 0 only the sizes are made once more, for all rows.
        self._runs_once = [bool(number and stage.together) for number, stage in enumerate(stages)]
        self._together = together and any(self._runs_once)
        self._read_last: list[list[str]] = [[] for _ in stages]
        for name, number in self._last_use.items():
            self._read_last[number].append(name)
        self.outputs = [
            name for stage in stages for name in stage.outputs.values() if name not in self._last_use
        ]  # what no stage reads is what the graph returns

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Array]
    ) -> Iterator[tuple[Integers, list[Array]]]:
        """See :class:`~seedtune.runtime.graphs.types.Graph`."""
        for group in self._in_flight(batches):
            places = [batch.index for batch in group]
            found = self._run_group(names, group, shared)
            group.clear()
            for index in places:
                # Nothing of a batch is held when the next one runs.
                yield index, found.pop(0)

    def _in_flight(self, batches: Iterable[Batch]) -> Iterator[list[Batch]]:
        group: list[Batch] = []
        tokens = 0
        for batch in batches:
            if group and tokens + batch.work.computed > self._tokens_in_flight:
                yield group
                group, tokens = [], 0
            group.append(batch)
            tokens += batch.work.computed
        if group:
            yield group

    def _run_group(
        self, names: Sequence[str], group: Sequence[Batch], shared: Mapping[str, Array]
    ) -> list[list[Array]]:
        common = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in shared.items()}
        held: list[Values] = [
            {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in batch.arrays.items()}
            for batch in group
        ]
        wanted = set(names)
        tensors = [list(dict.fromkeys(stage.weights.values())) for stage in self._stages]
        together = Together(group, held) if self._together and Together.possible(group) else None
        self._guard.begin()
        with contextlib.closing(self._layers_of(group)) as layers:
            for number, addresses in enumerate(self._weights.passes(tensors)):
                self._guard.look()
                stage = self._stages[number]
                read_last = [name for name in self._read_last[number] if name not in wanted]
                if together and stage.together:
                    made = self._run_stage(stage, together.inputs(stage, common), together.no_layers(stage), addresses)
                    together.keep({name: made[name] for name in stage.together})
                for call, values in enumerate(held):
                    if not together or not self._runs_once[number]:
                        known = together.of_call(call, stage, common | values) if together else common | values
                        made = self._run_stage(stage, known, next(layers) if stage.layers else {}, addresses)
                        # The thread reads on while stages without contexts run.
                        layers.release()
                        values.update((name, made[name]) for name in made if name in wanted or name in self._last_use)
                    for name in read_last:
                        values.pop(name, None)
                if together:
                    together.drop(read_last)
        # Without a copy: a context graph returns keys and values of all layers.
        return [
            [
                together.part(name, call) if together and name in together else np.from_dlpack(values[name])
                for name in names
            ]
            for call, values in enumerate(held)
        ]

    def _layers_of(self, group: Sequence[Batch]) -> ReadAhead[Wanted, dict[str, Array]]:
        """What the stages with layers of contexts read, batch by batch."""
        return self._layers.passes(
            [
                {key: (batch.layered[name], layer) for key, (name, layer) in stage.layers.items()}
                for stage in self._stages
                if stage.layers
                for batch in group
            ]
        )

    def _run_stage(self, stage: Stage, values: Values, layers: Mapping[str, Array], addresses: Addresses) -> Values:
        session = self._sessions[stage.graph]
        binding = session.io_binding()
        for key, name in stage.values.items():
            binding.bind_ortvalue_input(key, values[name])
        # The binding points into these arrays.
        alive = list(layers.values())
        for key, array in layers.items():
            binding.bind_cpu_input(key, array)
        for key, integers in stage.numbers.items():
            array = np.array(integers.values, np.int64).reshape(integers.shape)
            alive.append(array)
            binding.bind_cpu_input(key, array)
        for key, name in stage.weights.items():
            tensor = self._weights.tensors[name]
            binding.bind_input(key, "cpu", 0, tensor.element_type, tensor.shape, addresses[name])
        for key in stage.outputs:
            binding.bind_output(key)
        session.run_with_iobinding(binding, self._last_run if stage is self._stages[-1] else None)
        return dict(zip(stage.outputs.values(), binding.get_outputs(), strict=True))
