"""A run on the phone, shown as one that is made here; what commands that follow one have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from seedtune.runtime.cli.options import EXIT_INTERRUPTED, print_json
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.files.names import require_plain
from seedtune.runtime.device.files.pull import pull
from seedtune.runtime.device.watch.follow import Follower
from seedtune.runtime.telemetry.events import Finished
from seedtune.runtime.telemetry.phone.records import PHONE_FILE
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import RunResult

OutOption = Annotated[
    Path | None, typer.Option(help="The RUN folder here that the run's files are kept in. Default: device-runs/RUN.")
]


def run_folder(run: str, out: Path | None) -> Path:
    """Where the files of ``run`` are kept here."""
    return out or Path("device-runs") / require_plain(run)


def follow_run(
    access: Access,
    run: str,
    folder: Path,
    *,
    before: bytes | None = None,
    log_before: str | None = None,
    json: bool = False,
) -> None:
    """Follows ``run`` to its end, fetches what is missing, and says what came out.

    Raises:
        SeedTuneError: see :class:`seedtune.runtime.device.watch.follow.Follower`.
        typer.Exit: Ctrl-C detached.
    """
    console = Console(stderr=True)
    mirror = Mirror(folder)
    describe_phone(access, mirror)
    follower = Follower(access, run, mirror, before=before, log_before=log_before)
    result: RunResult | None = None
    try:
        with RunProgress() as progress:
            for event in follower:
                progress.on(event)
                if isinstance(event, Finished):
                    result = event.result
    except KeyboardInterrupt:
        console.print(f"detached; the phone goes on: seedtune device follow {run} --out {folder}", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    assert result is not None
    pulled = pull(access, run, mirror)
    found = follower.continuity
    ended = f"{'stopped' if result.interrupted else 'done'} after {result.steps} steps in {result.seconds_total:.0f} s"
    lines = f"{found.lines} lines of telemetry, {found.missing} missing, {found.doubled} doubled"
    console.print(f"{ended}; {lines}", highlight=False, soft_wrap=True)
    console.print(f"seedtune report {folder}; seedtune device memory {folder}", highlight=False, soft_wrap=True)
    if result.interrupted:
        console.print(f"go on with: seedtune device resume {run} --out {folder}", highlight=False, soft_wrap=True)
    if json:
        told = {"lines": found.lines, "missing": found.missing, "doubled": found.doubled, "processes": found.processes}
        print_json(
            msgspec.structs.asdict(result) | {"run": run, "out": str(folder), "telemetry": told, "pulled": pulled.fresh}
        )


def describe_phone(access: Access, mirror: Mirror) -> None:
    """Writes ``phone.json``.

    Raises:
        SeedTuneError: the phone cannot be reached, or the file not written.
    """
    mirror.replace(PHONE_FILE, msgspec.json.encode(read_facts(access.phone).info) + b"\n")
