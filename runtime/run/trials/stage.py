"""The trials of a run, from its start to what it says of them; a run that was stopped in them goes on with them."""

from __future__ import annotations

from collections.abc import Collection, Generator

from seedtune.runtime.durations import short_duration
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.trials.budget import Budget
from seedtune.runtime.run.trials.choosing import Choosing, Chosen
from seedtune.runtime.run.trials.trial import Laboratory
from seedtune.runtime.telemetry.events import Event, Notice, Planned
from seedtune.runtime.telemetry.memory import PeakSampler
from seedtune.runtime.telemetry.run_files import read_json
from seedtune.runtime.telemetry.trials import FORMAT_VERSION, Trials


def choosing(
    laboratory: Laboratory,
    folder: RunFolder,
    settings: Settings,
    given: Collection[str],
    budget: Budget,
    peak: PeakSampler,
    *,
    starts_from_probe: bool,
) -> Generator[Event, None, Chosen | None]:
    """Evaluates the start, makes the trials, and says what they lead to; None where it was stopped.

    Args:
        laboratory: what trials share.
        folder: of the run, with run.json.
        settings: what was given, and defaults.
        given: the names of the options that were given, which stay.
        budget: of the run.
        peak: the most memory that the process has held.
        starts_from_probe: whether the start is not the untouched model.

    Raises:
        SeedTuneError: the budget is too short, or the file of earlier trials cannot be used.
        DivergedError: no method that could be tried has a finite loss.
    """
    before = read_trials(folder)
    work = Choosing(laboratory, folder, settings, given, budget, before.trials if before else [], peak)
    # From here on the folder holds a run that can go on.
    work.write()
    if laboratory.held_out is not None:
        if starts_from_probe:
            yield from laboratory.held_out.untouched(laboratory.start.zero_like())
        yield from laboratory.held_out.at_step(0, laboratory.start)
    chosen = yield from work.choosing()
    work.write(chosen.expected if chosen else None)
    if chosen is not None:
        yield from _told(chosen, budget)
    return chosen


def read_trials(folder: RunFolder) -> Trials | None:
    """trials.json; None for a run without a budget.

    Raises:
        SeedTuneError: it is damaged, or of another version.
    """
    if not folder.trials.is_file():
        return None
    found = read_json(folder.trials, Trials)
    if found.format_version != FORMAT_VERSION:
        raise SeedTuneError(
            "the trials were written by another version",
            file=folder.trials,
            value=found.format_version,
            rule=f"format_version {FORMAT_VERSION}",
            remedy="go on with the version that began the run, or start a new run",
        )
    return found


def _told(chosen: Chosen, budget: Budget) -> Generator[Event, None, None]:
    expected = chosen.expected
    yield Notice(expected.reason)
    if expected.steps:
        memory = expected.rss_anon_bytes
        parts = [
            f"expected: {expected.method} at learning rate {expected.learning_rate:g}",
            f"{expected.steps:,} steps of {expected.batch_size} rows",
            f"{short_duration(expected.seconds)} of {short_duration(budget.seconds)} in all, "
            f"{short_duration(budget.elapsed)} of which have passed",
            "" if memory is None else f"RssAnon {memory / 1e6:,.0f} MB",
        ]
        yield Notice(", ".join(filter(None, parts)))
    yield Planned(chosen.settings.as_dict(), expected)
