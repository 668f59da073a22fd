"""``seedtune device status`` and ``stop``: what the phone is doing, and an end to it."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seedtune.runtime.cli.device.options import SerialOption, UserOption, chosen_app
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.names import RUNS
from seedtune.runtime.device.app.running import stop
from seedtune.runtime.device.files.listing import list_files
from seedtune.runtime.device.files.pull import list_runs
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RESULT_FILE, RUN_FILE, STEPS_FILE, RunDescription, RunResult, StepRecord


def status_command(serial: SerialOption = None, user: UserOption = None, json: JsonOption = False) -> None:
    """Say what the phone is doing: whether the app runs, and how far each run is.

    Examples:

        seedtune device status

        seedtune device status --json
    """
    access = chosen_app(serial, user)
    facts = read_facts(access.phone)
    runs = [described(access, run) for run in list_runs(access)]
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "steps", "loss", "ended"):
        table.add_column(heading)
    for run in runs:
        of = "" if run["steps"] is None else f" of {run['steps']:,}"
        loss = "" if run["loss"] is None else f"{run['loss']:.4f}"
        table.add_row(escape(run["run"]), f"{run['step']:,}{of}", loss, run["ended"])
    console = Console(stderr=json)
    console.print("the app has a process" if facts.running else "the app has no process", highlight=False)
    console.print(table if runs else "no runs", highlight=False)
    if json:
        print_json({"running": facts.running, "runs": runs})


def stop_command(serial: SerialOption = None, user: UserOption = None, json: JsonOption = False) -> None:
    """End the run that the phone makes, behind its current step; `resume` goes on with it.

    Examples:

        seedtune device stop
    """
    stop(chosen_app(serial, user))
    Console(stderr=True).print("the run ends behind its current step; go on with: seedtune device resume RUN")
    if json:
        print_json({"stopped": True})


def described(access: Access, run: str) -> dict[str, Any]:
    """How far ``run`` is, by its own files; what is damaged in them is as if it were not there."""
    place = access.path(RUNS, run)
    script = f"cd {place} && cat {RUN_FILE}; echo; echo; tail -n 1 {STEPS_FILE}; echo; echo; cat {RESULT_FILE}"
    parts = (access.shell(f"({script}) 2>/dev/null; true").out + b"\n\n\n").split(b"\n\n")
    description = _decoded(parts[0], RunDescription)
    step = _decoded(parts[1], StepRecord)
    result = _decoded(parts[2], RunResult)
    done = step.step if step else 0
    ended = "" if result is None or result.steps < done else "stopped" if result.interrupted else "done"
    return {
        "run": run,
        "step": done,
        "steps": description.settings.get("steps") if description else None,
        "loss": step.loss if step else None,
        "ended": ended,
    }


def newest_run(access: Access) -> str:
    """The run whose step log was written last.

    Raises:
        SeedTuneError: there is none.
    """
    written = {}
    for run in list_runs(access):
        files = list_files(access, f"{RUNS}/{run}")
        written[run] = max((file.written_seconds for file in files.values()), default=0)
    if not written:
        raise SeedTuneError(
            "there is no run on the phone", remedy="start one: seedtune device train BUNDLE --train ROWS"
        )
    return max(written, key=lambda run: written[run])


def _decoded(raw: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(raw.strip(), type=kind)
    except (ValueError, RecursionError):
        return None
