"""The graphs of a bundle within a memory limit: one reader of the weights, shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.bundle.stage_plan import STAGES, StagePlan, decode_plan
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.memory_limit import MemoryChoice
from seedtune.runtime.stages.slow_storage import Reading
from seedtune.runtime.stages.staged_graph import StagedGraph
from seedtune.runtime.stages.tensors import Tensor, read_header
from seedtune.runtime.stages.weights import StreamedWeights


@dataclass(frozen=True)
class StageFiles:
    """What a bundle says of its stages: the plan, and the header of the weights file."""

    plan: StagePlan
    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, folder: Path, weights: Path) -> StageFiles:
        """Reads them from the bundle at ``folder``.

        Raises:
            SeedTuneError: the bundle has no stages, or they do not fit its weights.
        """
        path = folder / STAGES
        if not path.is_file():
            raise SeedTuneError(
                "this bundle was made before bundles had stages, so it cannot be used with a memory limit",
                file=folder,
                rule="a bundle of this version",
                remedy="export it again, or leave --memory-limit out",
            )
        plan = decode_plan(path.read_bytes(), path)
        tensors = read_header(weights, frozenset(plan.packed))
        missing = sorted(plan.roles.keys() - tensors.keys())
        if missing:
            raise SeedTuneError(
                "the weights file lacks tensors that the stages read",
                file=weights,
                value=", ".join(missing[:3]),
                remedy="export the bundle again",
            )
        return cls(plan, tensors)


class StreamedGraphs:
    """Makes :class:`StagedGraph` over one :class:`StreamedWeights`; one of them runs at a time."""

    def __init__(self, folder: Path, weights: Path, files: StageFiles, choice: MemoryChoice) -> None:
        self.choice = choice
        self._folder = folder
        self._plan = files.plan
        self._weights = StreamedWeights(weights, files.tensors, files.plan.roles, choice.buffer_bytes, choice.kept)

    @property
    def reading(self) -> Reading:
        """What streaming has taken so far."""
        return self._weights.reading

    def open(self, graph: str, threads: int | None) -> StagedGraph:
        """The graph "probe", "eval" or "prefix"."""
        in_flight = {
            "probe": self.choice.tokens_in_flight,
            "eval": 2 * self.choice.tokens_in_flight,
            "prefix": self.choice.tokens_per_prefix_call,
        }[graph]
        # The probe graph runs at every step and keeps its memory; the others give theirs back to it.
        gives_back = graph != "probe"
        return StagedGraph(self._folder, self._plan.graphs[graph], self._weights, in_flight, threads, gives_back)
