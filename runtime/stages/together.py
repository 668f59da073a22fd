"""The rows of all calls in flight one behind the other, for stages that run once for all of them (`Stage.together`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnxruntime

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.stage_plan import Stage
from seedtune.runtime.graphs.types import Array

Values = dict[str, onnxruntime.OrtValue]


class Together:
    """What passes from stage to stage for all calls at once.

    Args:
        group: the calls.
        calls: what each of them holds, inputs of the graph included; read when it is asked for.
    """

    def __init__(self, group: Sequence[Batch], calls: Sequence[Values]) -> None:
        self._group = group
        self._calls = calls
        self._ends = np.cumsum([len(batch.index) for batch in group])
        self._values: Values = {}

    @staticmethod
    def possible(group: Sequence[Batch]) -> bool:
        """Whether there is more than one call, and their rows are alike but for their contexts.

        A row that is alone in its call stays so: products of floats, such as those of the state, come out another in
        their last bits for one row than for several.
        """
        shapes = {tuple((name, array.shape[1:]) for name, array in batch.arrays.items()) for batch in group}
        return len(group) > 1 and len(shapes) == 1 and all(len(batch.index) > 1 for batch in group)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def inputs(self, stage: Stage, common: Values) -> Values:
        """What ``stage`` reads for all rows; ``common`` is the same for all of them."""
        for name in stage.values.values():
            if name not in common and name not in self._values:
                rows = np.concatenate([values[name].numpy() for values in self._calls])
                self._values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(rows)
        return common | self._values

    def no_layers(self, stage: Stage) -> dict[str, Array]:
        """In place of the layers that ``stage`` reads a context of one token: no size of a context is wanted of it."""
        layers: dict[str, Array] = {}
        for key, (name, _layer) in stage.layers.items():
            layered = self._group[0].layered[name]
            _layers, _rows, heads, _tokens, size = layered.shape
            layers[key] = np.zeros((int(self._ends[-1]), heads, 1, size), layered.dtype)
        return layers

    def keep(self, made: Values) -> None:
        """Keeps what a stage made for all rows."""
        self._values |= made

    def of_call(self, call: int, stage: Stage, known: Values) -> Values:
        """``known``, and what else ``stage`` reads for the rows of one call."""
        more = {name: self.part(name, call) for name in stage.values.values() if name not in known}
        return known | {name: onnxruntime.OrtValue.ortvalue_from_numpy(rows) for name, rows in more.items()}

    def part(self, name: str, call: int) -> Array:
        """Of what was made for all rows, that of one call; a copy."""
        whole: Array = self._values[name].numpy()
        end, places = int(self._ends[call]), len(whole) // int(self._ends[-1])
        return whole[places * (end - len(self._group[call].index)) : places * end].copy()

    def drop(self, names: Iterable[str]) -> None:
        """Frees ``names``, which nobody reads any more."""
        for name in names:
            self._values.pop(name, None)
