"""From a request to a run that is ready for its next step: reads and checks everything, new or resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.files import write_durably
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.model.feeders import NO_CACHE, CacheOptions, opening_feeder
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.model.splits import Split, notices_of
from seedtune.runtime.model.tuned import header_of, new_state, start_of
from seedtune.runtime.run.choose_batch import MANY
from seedtune.runtime.run.closed_form import closed_form, solver_bytes
from seedtune.runtime.run.data import load_data
from seedtune.runtime.run.description import describe_run
from seedtune.runtime.run.driver import Run
from seedtune.runtime.run.folder import RunFolder, recorded_settings
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.listeners.outcome import Outcome
from seedtune.runtime.run.methods.choice import method_of
from seedtune.runtime.run.methods.gradient import BATCH_SIZE as BATCH_SIZE_OF_GRADIENTS
from seedtune.runtime.run.resume import require_same_run, resume_journal
from seedtune.runtime.run.settings import BATCH_SIZE_OF_WHOLE_ROWS, Settings
from seedtune.runtime.start.file import encode_start, sha256_of_start
from seedtune.runtime.telemetry.events import Event, Notice, Prepared
from seedtune.runtime.telemetry.memory import PeakSampler
from seedtune.runtime.telemetry.run_files import read_description
from seedtune.runtime.trim import trim


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        bundle: verified.
        out: the RUN folder.
        train: training rows; a resumed run may leave it out.
        held_out: evaluation rows, or None.
        data_format: of both; None for what their endings say.
        resume: whether ``out`` holds the run to go on with.
        options: the settings that are given; the others are defaults, or what a resumed run was begun with.
        threads: of ONNX Runtime; None for all processors.
        cache: where contexts are kept; no folder for the RUN folder.
        memory_limit_bytes: of everything the process holds; None for no limit.
    """

    bundle: Bundle
    out: Path
    train: Path | None = None
    held_out: Path | None = None
    data_format: str | None = None
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    cache: CacheOptions = NO_CACHE
    memory_limit_bytes: int | None = None


def tuning(request: Request, stop: Callable[[], bool] = lambda: False) -> Generator[Event, None, None]:
    """Makes the run of ``request`` and everything in its folder, one event after another.

    Args:
        request: what is asked for.
        stop: asked after each step; True ends the run cleanly, to be resumed later. So does leaving the iteration.

    Raises:
        DivergedError: a loss was not finite; all files are written.
        SeedTuneError: anything else that the user can put right.
    """
    started = time.monotonic()
    with RunFolder(request.out, resume=request.resume) as folder, PeakSampler() as peak:
        run = yield from _preparing(request, folder, peak, started)
        yield from run.events(stop)


def _preparing(request: Request, folder: RunFolder, peak: PeakSampler, started: float) -> Generator[Event, None, Run]:
    description = read_description(folder.path) if folder.resume else None
    settings = (recorded_settings(description, folder.path) if description else Settings()).changed(request.options)
    train, held_out = load_data(request.bundle, request.train, request.held_out, request.data_format, description)
    trim()
    cache = CacheOptions(request.cache.folder or folder.contexts, request.cache.limit_bytes)
    graphs, settings = _within_limit(request, settings, train, held_out, cache, resumed=description is not None)
    if description:
        require_same_run(description, request.bundle, settings, train, held_out, folder.path)
    yield Prepared(settings.as_dict(), settings.steps)
    yield from map(Notice, notices_of(train, held_out))
    if graphs.choice:
        yield Notice(str(graphs.choice))
    feeder = yield from opening_feeder(graphs, train.examples, name="train", cache=cache, rows=train.rows)
    kept = None
    if held_out:
        held_out_feeder = yield from opening_feeder(
            graphs, held_out.examples, name="eval", cache=cache, rows=held_out.rows
        )
        kept = HeldOut(folder, graphs, held_out, held_out_feeder, settings)
    if description:
        start, start_sha256 = start_of(folder.path, description, request.bundle), description.start_sha256
    else:
        start, start_sha256 = yield from _new_start(folder, graphs, settings, train, feeder)
    state = new_state(request.bundle, start)
    method = method_of(settings, graphs, state, folder.path)
    if description:
        journal, first_step, outcome = resume_journal(folder, description, request.bundle, method)
    else:
        size = yield from method.batch_size(settings, feeder)
        settings = msgspec.structs.replace(settings, batch_size=size)
        folder.write_description(describe_run(request.bundle, settings, train, held_out, start_sha256))
        header = header_of(settings.as_dict(), request.bundle, start_sha256)
        journal = JournalWriter.create(folder.journal, header)
        first_step, outcome = 0, Outcome()
    return Run(
        folder=folder,
        graphs=graphs,
        settings=settings,
        feeder=feeder,
        held_out=kept,
        method=method,
        state=state,
        journal=journal,
        first_step=first_step,
        outcome=outcome,
        starts_from_probe=start is not None,
        started=started,
        peak=peak,
    )


def _new_start(
    folder: RunFolder, graphs: Graphs, settings: Settings, train: Split, feeder: Feeder
) -> Generator[Event, None, tuple[npt.NDArray[np.float32] | None, str | None]]:
    """What the head starts from and the SHA-256 of the file that then keeps it; neither for zero."""
    probe = yield from closed_form(graphs, settings, train, feeder)
    trim()
    if probe is None:
        return None, None
    head = graphs.bundle.manifest.state.head
    assert head is not None
    raw = encode_start(probe, head)
    write_durably(folder.start, raw)
    return probe.values, sha256_of_start(raw)


def _within_limit(
    request: Request, settings: Settings, train: Split, held_out: Split | None, cache: CacheOptions, *, resumed: bool
) -> tuple[Graphs, Settings]:
    """The graphs, within the limit if there is one, and how many rows a call then has."""
    limit, head = request.memory_limit_bytes, request.bundle.manifest.state.head
    if limit is None:
        return MappedGraphs(request.bundle, request.threads), settings
    settings.estimator.require_graph(request.bundle)
    fixed = resumed or "rows_per_call" in request.options
    at_once = BATCH_SIZE_OF_WHOLE_ROWS if request.bundle.manifest.objective.scope == "all" else MANY
    if isinstance(settings.estimator, GradientSettings):
        at_once = BATCH_SIZE_OF_GRADIENTS
    graphs = limit_memory(
        request.bundle,
        [*train.examples, *(held_out.examples if held_out else ())],
        limit,
        examples_at_once=settings.batch_size or at_once,
        cached=cache.keeps_all,
        tokens_per_call=settings.tokens_per_call if fixed else None,
        threads=request.threads,
        vectors=settings.optimizer.vectors + settings.estimator.vectors,
        step_graph=settings.estimator.graph,
        other_bytes=0 if resumed or head is None else solver_bytes(settings, head.features, len(train.rows), limit),
    )
    if not fixed:
        settings = msgspec.structs.replace(settings, rows_per_call=2 * graphs.choice.tokens_per_call)
    return graphs, settings
