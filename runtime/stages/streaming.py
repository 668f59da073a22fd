"""The graphs of a bundle within a memory limit: one reader of the weights, shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import GRADIENT, PROBE, StagePlan
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import MemoryChoice, Reading
from seedtune.runtime.stages.layer_buffer import LayerBuffer
from seedtune.runtime.stages.library_pages import PageGuard
from seedtune.runtime.stages.staged_graph import StagedGraph
from seedtune.runtime.stages.tensors import Tensor, read_header
from seedtune.runtime.stages.weights import StreamedWeights


@dataclass(frozen=True)
class StageFiles:
    """What a bundle says of its stages: the plan, and the headers of its files of weights."""

    plan: StagePlan
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, bundle: Bundle) -> StageFiles:
        """Those of ``bundle``.

        Raises:
            SeedTuneError: its stages do not fit its weights.
        """
        packed = frozenset(bundle.plan.packed)
        tensors = {name: tensor for path in bundle.weights_paths for name, tensor in read_header(path, packed).items()}
        missing = sorted(bundle.plan.roles.keys() - tensors.keys())
        if missing:
            raise SeedTuneError(
                "the weights lack tensors that the stages read",
                file=bundle.weights_paths[-1],
                value=", ".join(missing[:3]),
                remedy="export the bundle again",
            )
        return cls(bundle.plan, tensors)


class StreamedGraphs:
    """:class:`~seedtune.runtime.graphs.types.Graphs` over one :class:`StreamedWeights`; one graph runs at a time.

    Args:
        bundle: verified.
        files: of the bundle.
        choice: what they keep to.
        guard: gives pages back near the limit.
        threads: of ONNX Runtime; None for all processors.

    Raises:
        SeedTuneError: the bundle lies where files cannot be mapped.
    """

    def __init__(
        self, bundle: Bundle, files: StageFiles, choice: MemoryChoice, guard: PageGuard, threads: int | None = None
    ) -> None:
        self.bundle = bundle
        self.choice = choice
        self.threads = threads
        self._plan = files.plan
        self._guard = guard
        self._weights = StreamedWeights(files.tensors, files.plan.roles, choice.buffer_bytes, choice.kept)
        self._layers = LayerBuffer(choice.layer_buffer_bytes)

    @property
    def reading(self) -> Reading:
        """See :class:`~seedtune.runtime.graphs.types.Graphs`."""
        return self._weights.reading

    def open(self, name: str) -> StagedGraph:
        """See :class:`~seedtune.runtime.graphs.types.Graphs`."""
        self.bundle.require_graph(name)
        in_flight = {
            PROBE: self.choice.tokens_in_flight,
            GRADIENT: self.choice.tokens_in_flight,
            "eval": 2 * self.choice.tokens_in_flight,
            "context": self.choice.tokens_per_context_call,
        }[name]
        # The graph that runs at every step keeps its memory; the others give theirs back to it.
        gives_back = name not in (PROBE, GRADIENT)
        return StagedGraph(
            self.bundle.path,
            self._plan.graphs[name],
            self._weights,
            self._layers,
            in_flight,
            self._guard,
            self.threads,
            gives_back,
            self.choice.together,
        )
