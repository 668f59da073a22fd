"""From a request to a run that is ready for its next step: reads and checks everything, new or resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.files import write_durably
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.model.limit import make_room
from seedtune.runtime.model.tuned import header_of, new_state, start_of
from seedtune.runtime.run.conclude import conclude
from seedtune.runtime.run.description import describe_run
from seedtune.runtime.run.driver import Run
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.listeners.outcome import Outcome
from seedtune.runtime.run.materials.choice import material_of
from seedtune.runtime.run.materials.protocol import Material, Opening
from seedtune.runtime.run.methods.choice import method_of
from seedtune.runtime.run.request import Request, begun
from seedtune.runtime.run.resume import require_same_run, resume_journal
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.stopping import Stopping, checked_patience
from seedtune.runtime.run.trials.budget import Budget
from seedtune.runtime.run.trials.stage import choosing, read_trials
from seedtune.runtime.run.trials.trial import Laboratory
from seedtune.runtime.start.file import encode_start, sha256_of_start
from seedtune.runtime.telemetry.events import Event, Finished, Notice, Prepared
from seedtune.runtime.telemetry.memory import PeakSampler
from seedtune.runtime.telemetry.records import PlanInfo, RunResult
from seedtune.runtime.trim import trim


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
    may_start = request.train is not None or request.bundle.manifest.objective.brings_rows
    with RunFolder(request.out, resume=request.resume, may_start=may_start) as folder, PeakSampler() as peak:
        run = yield from _preparing(request, folder, peak, started, stop)
        if isinstance(run, RunResult):
            yield Finished(run)
        else:
            yield from run.events(stop)


def _preparing(
    request: Request, folder: RunFolder, peak: PeakSampler, started: float, stop: Callable[[], bool]
) -> Generator[Event, None, Run | RunResult]:
    """The run; or what it came to where it was stopped before its first step."""
    before = begun(request, folder)
    description, settings, bundle = before.description, before.settings, request.bundle
    trials = read_trials(folder) if description else None
    if request.memory_limit_bytes is not None:
        # A tokenizer takes its memory now, and what start-up touched is not wanted any more.
        make_room()
    material = material_of(request, description, folder, settings.seed)
    evaluates = material.data.eval is not None
    patience = before.patience
    if patience is None or request.patience is not None:
        patience = checked_patience(request.patience, before.budget_seconds, held_out=evaluates)
    trim()
    graphs, settings = material.graphs(settings, resumed=before.has_steps)
    if description:
        require_same_run(description, bundle, settings if before.has_steps else None, material.data, folder.path)
    yield Prepared(settings.as_dict(), settings.steps)
    yield from map(Notice, material.notices)
    if graphs.choice:
        yield Notice(str(graphs.choice))
    budget = None
    if before.budget_seconds is not None and not before.has_steps:
        budget = Budget(before.budget_seconds, started - (trials.elapsed_seconds if trials else 0.0))
    feeder, held_out = yield from material.opening(graphs, folder, settings, budget.watching if budget else _unwatched)
    if description:
        start, start_sha256 = start_of(folder.path, description, bundle), description.start_sha256
    else:
        start, start_sha256 = yield from _new_start(folder, graphs, settings, material, feeder)
    state = new_state(bundle, start)
    expected, estimator = trials.chosen if trials else None, None
    plan = PlanInfo(budget_seconds=before.budget_seconds, patience=patience, given=dict(before.given) if budget else {})
    if budget is not None:
        folder.write_description(describe_run(bundle, settings, material, start_sha256, plan))
        laboratory = Laboratory(
            graphs=graphs, feeder=feeder, held_out=held_out, start=state.copy(), folder=folder.path, stop=stop
        )
        chosen = yield from choosing(
            laboratory, folder, settings, before.given, budget, peak, starts_from_probe=start is not None
        )
        if chosen is None:
            return conclude(
                folder,
                Outcome(),
                settings,
                held_out,
                state,
                steps=0,
                starts_from_probe=start is not None,
                seconds=budget.elapsed,
                peak=peak,
                memory=graphs.choice,
                ended_by="interruption",
            )
        settings, expected, estimator = chosen.settings, chosen.expected, chosen.estimator
        del laboratory, chosen
    method = method_of(settings, estimator or settings.estimator.build(graphs), bundle.manifest, state, folder.path)
    if description and before.has_steps:
        journal, done, outcome = resume_journal(folder, description, bundle, method)
    else:
        size = yield from method.batch_size(settings, feeder)
        settings = msgspec.structs.replace(settings, batch_size=size)
        folder.write_description(describe_run(bundle, settings, material, start_sha256, plan))
        header = header_of(settings.as_dict(), bundle, start_sha256)
        journal, done, outcome = JournalWriter.create(folder.journal, header), 0, Outcome()
    outcome.expected = expected
    # The step log counts from the beginning of the run; without a line of it, the trials are all that came before.
    counted = trials is not None and not outcome.seconds_before
    return Run(
        folder=folder,
        graphs=graphs,
        settings=settings,
        feeder=feeder,
        held_out=held_out,
        method=method,
        state=state,
        journal=journal,
        done=done,
        outcome=outcome,
        starts_from_probe=start is not None,
        stopping=Stopping(patience, before.budget_seconds, no_step=expected is not None and not expected.steps),
        started=started - (trials.elapsed_seconds if trials and counted else 0.0),
        peak=peak,
    )


def _new_start(
    folder: RunFolder, graphs: Graphs, settings: Settings, material: Material, feeder: Feeder
) -> Generator[Event, None, tuple[npt.NDArray[np.float32] | None, str | None]]:
    """What the head starts from and the SHA-256 of the file that then keeps it; neither for zero."""
    probe = yield from material.start(graphs, settings, feeder)
    trim()
    if probe is None:
        return None, None
    head = graphs.bundle.manifest.state.head
    assert head is not None
    raw = encode_start(probe, head)
    write_durably(folder.start, raw)
    return probe.values, sha256_of_start(raw)


def _unwatched(opening: Opening) -> Opening:
    return opening
