"""Rows of features, which the bundle of heads brings."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.heads import FeatureHeads
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.heads.refused import refuse_what_is_of_text
from seedtune.runtime.heads.rows import open_rows
from seedtune.runtime.model.head_evaluation import exam_of
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.materials.protocol import Watching
from seedtune.runtime.run.request import Request
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.start.linear_probe import Probe
from seedtune.runtime.telemetry.events import Event
from seedtune.runtime.telemetry.records import DataFileInfo, DataInfo, LabelInfo, ModelInfo, TaskInfo

NOTHING_TO_JUDGE = (
    "nothing to evaluate: a linear evaluation needs two labelled training rows of each class, and a validation row; "
    "the last state is kept"
)


class HeadMaterial:
    """:class:`~seedtune.runtime.run.materials.protocol.Material` out of the bundle of a request.

    Raises:
        SeedTuneError: the request names rows or limits, of which a bundle of heads takes none, or the rows are damaged.
    """

    def __init__(self, request: Request, objective: FeatureHeads) -> None:
        _refuse_what_is_of_text(request)
        self._request = request
        self._objective = objective
        self._rows = open_rows(request.bundle)
        self._exam = exam_of(self._rows)
        if not len(self._exam.feeder):
            raise SeedTuneError(
                "no row has a positive, so there is nothing to learn from",
                file=self._rows.path,
                rule="one row or more with a positive",
                remedy="export the features again, with positives or --neighbours",
            )

    @property
    def data(self) -> DataInfo:
        """See `Material`: all of it in one file of the bundle."""
        path, sha256 = str(self._rows.path.resolve()), self._rows.sha256
        train = DataFileInfo(path=path, rows=len(self._exam.feeder), sha256=sha256)
        held_out = len(self._exam.held_out)
        return DataInfo(train=train, eval=DataFileInfo(path=path, rows=held_out, sha256=sha256) if held_out else None)

    @property
    def model(self) -> ModelInfo:
        """See `Material`."""
        return ModelInfo(
            source=self._objective.source,
            family="features",
            architecture=f"{self._objective.summary}, {self._objective.form}",
            parameters=0,
        )

    @property
    def task(self) -> TaskInfo:
        """See `Material`."""
        labels = [LabelInfo(value=label, name=str(label), word="") for label in range(self._objective.classes)]
        return TaskInfo(name=self._objective.name, template="", labels=labels)

    @property
    def notices(self) -> Sequence[str]:
        """See `Material`."""
        return [] if len(self._exam.held_out) else [NOTHING_TO_JUDGE]

    def graphs(self, settings: Settings, *, resumed: bool) -> tuple[Graphs, Settings]:
        """See `Material`: there are no weights that a limit could stream."""
        settings.estimator.require_graph(self._request.bundle)
        return MappedGraphs(self._request.bundle, self._request.threads, keep=True), settings

    def opening(
        self, graphs: Graphs, folder: RunFolder, settings: Settings, watching: Watching
    ) -> Generator[Event, None, tuple[Feeder, HeldOut | None]]:
        """See `Material`."""
        yield from ()
        if not len(self._exam.held_out):
            return self._exam.feeder, None
        fields = [{"row": str(row)} for row in self._exam.held_out]
        return self._exam.feeder, HeldOut(
            folder, fields, lambda state, places: self._exam.evaluating(graphs, state, places), settings.objective
        )

    def start(self, graphs: Graphs, settings: Settings, feeder: Feeder) -> Generator[Event, None, Probe | None]:
        """See `Material`: zero is the identity, or the heads as they were exported."""
        yield from ()
        return None


def _refuse_what_is_of_text(request: Request) -> None:
    """Raises SeedTuneError for what only rows of text, or weights, can have."""
    given = {
        "--train": request.train,
        "--eval": request.held_out,
        "--held-out-rows": request.held_out_rows,
        "--data-format": request.data_format,
        "--cache": request.cache.folder,
        "--cache-limit": request.cache.limit_bytes,
        "--memory-limit": request.memory_limit_bytes,
        "--rows-per-call": request.options.get("rows_per_call"),
    }
    refuse_what_is_of_text(given, request.bundle.path, "seedtune run BUNDLE --out RUN, and settings of the loop")
