"""What a run is asked for: its bundle, its rows, its settings, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.feeders import NO_CACHE, CacheOptions
from seedtune.runtime.run.folder import RunFolder, recorded_settings
from seedtune.runtime.run.options import plain_name
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import RUN_FILE, RunDescription
from seedtune.runtime.telemetry.run_files import read_description


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        bundle: verified.
        out: the RUN folder.
        train: training rows; a resumed run may leave it out.
        held_out: evaluation rows, or None.
        held_out_rows: how many training rows are held out where ``held_out`` is None; None for a default.
        data_format: of both; None for what their endings say.
        resume: whether to go on with the run in ``out``; one begins if it holds none and ``train`` is given.
        options: the settings that are given; the others are defaults, or what a resumed run was begun with.
        budget_seconds: of the whole run, which then chooses what is left out; None for any time.
        patience: evaluations without a new best after which the run ends, 0 for never; None for a default.
        threads: of ONNX Runtime; None for all processors.
        cache: where contexts are kept; no folder for the RUN folder.
        memory_limit_bytes: of everything the process holds; None for no limit.
    """

    bundle: Bundle
    out: Path
    train: Path | None = None
    held_out: Path | None = None
    held_out_rows: int | None = None
    data_format: str | None = None
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    budget_seconds: float | None = None
    patience: int | None = None
    threads: int | None = None
    cache: CacheOptions = NO_CACHE
    memory_limit_bytes: int | None = None


@dataclass(frozen=True)
class Begun:
    """What a request comes to together with what its folder holds.

    Attributes:
        description: run.json of the run that is resumed; None for a new one.
        has_steps: whether it has a journal, so that nothing is left to choose.
        settings: as far as they are known.
        given: those that trials may not change, by the names of options.
        budget_seconds: as given now, or as recorded.
        patience: likewise; None for a default.
    """

    description: RunDescription | None
    has_steps: bool
    settings: Settings
    given: Mapping[str, Any]
    budget_seconds: float | None
    patience: int | None


def begun(request: Request, folder: RunFolder) -> Begun:
    """Reads what ``folder`` holds of the run that ``request`` resumes, if it does.

    Raises:
        SeedTuneError: it is damaged, or a setting is none.
    """
    default = Settings().changed(request.bundle.manifest.objective.settings)
    if not folder.resumes:
        given = _plain(request.options)
        return Begun(None, False, default.changed(request.options), given, request.budget_seconds, request.patience)
    description = read_description(folder.path)
    plan = description.plan
    budget = plan.budget_seconds if request.budget_seconds is None else request.budget_seconds
    patience = plan.patience if request.patience is None else request.patience
    if folder.journal.is_file():
        settings = recorded_settings(description, folder.path).changed(request.options)
        return Begun(description, True, settings, plan.given, budget, patience)
    try:
        recorded = default.changed(plan.given)
    except SeedTuneError as error:
        raise error.at(folder.path / RUN_FILE) from error
    given = {**plan.given, **_plain(request.options)}
    return Begun(description, False, recorded.changed(request.options), given, budget, patience)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {plain_name(name): value for name, value in options.items()}
