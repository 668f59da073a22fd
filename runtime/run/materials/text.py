"""Rows of text: files of them, encoded for the task of a bundle of a language model."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import msgspec

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.evaluation import evaluating
from seedtune.runtime.model.feeders import CacheOptions, opening_feeder
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.model.splits import Split, notices_of
from seedtune.runtime.run.choose_batch import MANY
from seedtune.runtime.run.closed_form import closed_form, solver_bytes
from seedtune.runtime.run.data import load_data
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.materials.protocol import Opening, Watching
from seedtune.runtime.run.methods.gradient import BATCH_SIZE as BATCH_SIZE_OF_GRADIENTS
from seedtune.runtime.run.request import Request
from seedtune.runtime.run.settings import BATCH_SIZE_OF_WHOLE_ROWS, Settings
from seedtune.runtime.start.linear_probe import Probe
from seedtune.runtime.telemetry.events import Event
from seedtune.runtime.telemetry.records import (
    DataFileInfo,
    DataInfo,
    LabelInfo,
    ModelInfo,
    RunDescription,
    TaskInfo,
)


class TextMaterial:
    """:class:`~seedtune.runtime.run.materials.protocol.Material` out of the files of a request.

    Args:
        request: what is asked for.
        begun: the run that is resumed.
        folder: of the run.
        seed: of the run.

    Raises:
        SeedTuneError: there are no rows, or one cannot be used.
    """

    def __init__(self, request: Request, begun: RunDescription | None, folder: RunFolder, seed: int) -> None:
        self._request = request
        self._rows = load_data(
            request.bundle,
            request.train,
            request.held_out,
            request.data_format,
            begun,
            held_out_rows=request.held_out_rows,
            seed=seed,
        )
        self._cache = CacheOptions(request.cache.folder or folder.contexts, request.cache.limit_bytes)

    @property
    def data(self) -> DataInfo:
        """See `Material`."""
        held_out = self._rows.held_out
        return DataInfo(
            train=_file_info(self._rows.train),
            eval=_file_info(held_out) if held_out else None,
            split_off=self._rows.split_off,
        )

    @property
    def model(self) -> ModelInfo:
        """See `Material`."""
        model = self._request.bundle.manifest.language_model.model
        return ModelInfo(
            source=model.source, family=model.family, architecture=model.architecture, parameters=model.parameters
        )

    @property
    def task(self) -> TaskInfo:
        """See `Material`."""
        task = self._request.bundle.manifest.language_model.task
        labels = [
            LabelInfo(value=label.value, name=label.name or label.word.strip(), word=label.word)
            for label in task.labels
        ]
        return TaskInfo(name=task.name, template=task.template, labels=labels)

    @property
    def notices(self) -> Sequence[str]:
        """See `Material`."""
        return [*filter(None, (self._rows.notice, *notices_of(self._rows.train, self._rows.held_out)))]

    def graphs(self, settings: Settings, *, resumed: bool) -> tuple[Graphs, Settings]:
        """See `Material`."""
        request, train, held_out = self._request, self._rows.train, self._rows.held_out
        limit, head = request.memory_limit_bytes, request.bundle.manifest.state.head
        if limit is None:
            return MappedGraphs(request.bundle, request.threads), settings
        settings.estimator.require_graph(request.bundle)
        fixed = resumed or "rows_per_call" in request.options
        at_once = BATCH_SIZE_OF_WHOLE_ROWS if request.bundle.manifest.language_model.scope == "all" else MANY
        if isinstance(settings.estimator, GradientSettings):
            at_once = BATCH_SIZE_OF_GRADIENTS
        graphs = limit_memory(
            request.bundle,
            [*train.examples, *(held_out.examples if held_out else ())],
            limit,
            examples_at_once=settings.batch_size or at_once,
            cached=self._cache.keeps_all,
            tokens_per_call=settings.tokens_per_call if fixed else None,
            threads=request.threads,
            vectors=settings.optimizer.vectors + settings.estimator.vectors,
            step_graph=settings.estimator.graph,
            other_bytes=0 if resumed or head is None else solver_bytes(settings, head.features, len(train.rows), limit),
        )
        if not fixed:
            settings = msgspec.structs.replace(settings, rows_per_call=2 * graphs.choice.tokens_per_call)
        return graphs, settings

    def opening(
        self, graphs: Graphs, folder: RunFolder, settings: Settings, watching: Watching
    ) -> Generator[Event, None, tuple[Feeder, HeldOut | None]]:
        """See `Material`."""

        def feeding(split: Split, name: str) -> Opening:
            return watching(opening_feeder(graphs, split.examples, name=name, cache=self._cache, rows=split.rows))

        feeder = yield from feeding(self._rows.train, "train")
        held_out = self._rows.held_out
        if held_out is None:
            return feeder, None
        kept = yield from feeding(held_out, "eval")
        fields = [row.fields for row in held_out.rows]
        rows = settings.rows_per_call
        return feeder, HeldOut(
            folder,
            fields,
            lambda state, places: evaluating(graphs, state, kept, rows=rows, places=places),
            settings.objective,
        )

    def start(self, graphs: Graphs, settings: Settings, feeder: Feeder) -> Generator[Event, None, Probe | None]:
        """See `Material`."""
        return (yield from closed_form(graphs, settings, self._rows.train, feeder))


def _file_info(split: Split) -> DataFileInfo:
    return DataFileInfo(path=split.path, rows=len(split.rows), sha256=split.sha256)
