"""``seedtune device train`` and ``resume``: starts a run on the phone, and follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from seedtune.runtime.cli.device.following import OutOption, follow_run, run_folder
from seedtune.runtime.cli.device.options import SerialOption, UserOption, chosen_app
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.app.names import BUNDLES, DATA
from seedtune.runtime.device.app.request import Request
from seedtune.runtime.device.app.running import go_on, read_result, start
from seedtune.runtime.device.files.listing import list_files, list_folders
from seedtune.runtime.device.files.pull import require_run
from seedtune.runtime.device.watch.process import read_log
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.sizes import size_bytes

FollowOption = Annotated[bool, typer.Option("--follow/--detach", help="Follow the run here, or only start it.")]


def train_command(
    bundle: Annotated[
        str, typer.Argument(help="The bundle's name on the phone, or the folder that was pushed.", show_default=False)
    ],
    train: Annotated[
        str, typer.Option(help="The rows to learn from: their name on the phone, or the file that was pushed.")
    ],
    held_out: Annotated[str | None, typer.Option("--eval", help="The rows to evaluate on, likewise.")] = None,
    run: Annotated[str | None, typer.Option(help="What the run is called on the phone. Default: BUNDLE-ROWS.")] = None,
    out: OutOption = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates to make. Default: the app's, 300.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples a step. Default: the app's, 32.")] = None,
    estimator: Annotated[
        Literal["two-sided", "gradient"] | None, typer.Option(help="How steps are found. Default: two-sided.")
    ] = None,
    optimizer: Annotated[
        Literal["normalised", "momentum", "adamw"] | None, typer.Option(help="How the state moves.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="How far a typical step moves.")] = None,
    momentum: Annotated[float | None, typer.Option(min=0, max=1, help="Optimizer momentum only.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Everything random follows from it.")] = None,
    rows_per_call: Annotated[int | None, typer.Option(min=2, help="Token rows of one call; bounds memory.")] = None,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Stay below so many bytes in all, such as 320M.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of ONNX Runtime. Default: the app's.")] = None,
    only_while_charging: Annotated[
        bool, typer.Option("--only-while-charging", help="Wait while no charger is in.")
    ] = False,
    follow: FollowOption = True,
    serial: SerialOption = None,
    user: UserOption = None,
    json: JsonOption = False,
) -> None:
    """Start a run on the phone and follow it. Ctrl-C detaches: the phone goes on, and `follow` comes back to it.

    Examples:

        seedtune device train bundle --train train.jsonl --eval validation.jsonl --steps 500

        seedtune device train bundle --train train.jsonl --memory-limit 320M --detach
    """
    access = chosen_app(serial, user)
    name, rows = _named(bundle), _named(train)
    request = Request(
        bundle=name,
        train=rows,
        run=run or f"{name}-{rows.removesuffix('.jsonl')}",
        eval=_named(held_out) if held_out else None,
        steps=steps,
        batch_size=batch_size,
        estimator=estimator.replace("-", "_") if estimator else None,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        seed=seed,
        rows_per_call=rows_per_call,
        only_while_charging=only_while_charging or None,
        memory_limit=size_bytes(memory_limit, "--memory-limit") if memory_limit else None,
        threads=threads,
    )
    command = request.command(user)
    _require(request.bundle, list_folders(access, BUNDLES), "bundle", "seedtune device push BUNDLE --data ROWS")
    there = sorted(list_files(access, DATA))
    for file in filter(None, (request.train, request.eval)):
        _require(file, there, "file of rows", f"seedtune device push {bundle} --data {file}")
    before, log_before = read_result(access, request.run), read_log(access)
    start(access, command)
    console = Console(stderr=True)
    console.print(f"started {request.run} on the phone", highlight=False)
    if not follow:
        console.print(f"seedtune device follow {request.run}", highlight=False)
        if json:
            print_json({"run": request.run})
        return
    follow_run(access, request.run, run_folder(request.run, out), before=before, log_before=log_before, json=json)


def resume_command(
    run: Annotated[str, typer.Argument(help="The run's name on the phone.", show_default=False)],
    out: OutOption = None,
    follow: FollowOption = True,
    serial: SerialOption = None,
    user: UserOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with a run that was stopped, paused, or ended with the phone or its process, and follow it.

    Examples:

        seedtune device resume bundle-train
    """
    access = chosen_app(serial, user)
    require_run(access, run)
    before, log_before = read_result(access, run), read_log(access)
    go_on(access, run)
    if follow:
        follow_run(access, run, run_folder(run, out), before=before, log_before=log_before, json=json)
    elif json:
        print_json({"run": run})


def _named(given: str) -> str:
    """The name on the phone: of a path here, its last part."""
    return Path(given).resolve().name if "/" in given or given in (".", "..") else given


def _require(name: str, there: list[str], kind: str, remedy: str) -> None:
    if name not in there:
        raise SeedTuneError(
            f"there is no such {kind} on the phone",
            value=name,
            rule=f"one of: {', '.join(there)}" if there else "one that was pushed",
            remedy=remedy,
        )
