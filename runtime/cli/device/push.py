"""``seedtune device push``: a bundle, rows and contexts onto the phone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.device.options import SerialOption, UserOption, chosen_app, copying
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.files.plan import bundle_files, context_files, data_files
from seedtune.runtime.device.files.push import push


def push_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle folder.", show_default=False)],
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Rows as JSON lines; may be given several times.")
    ] = None,
    contexts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of caches that `seedtune cache` wrote; the bundle's host files then stay at the desk."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the bundle is called on the phone. Default: its folder.")
    ] = None,
    serial: SerialOption = None,
    user: UserOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a bundle and rows onto the phone: only what changed, verified by hash, on from where a cut left off.

    Examples:

        seedtune device push bundle --data train.jsonl --data validation.jsonl

        seedtune device push bundle --data train.jsonl --contexts contexts
    """
    files = bundle_files(bundle, name, without_host_files=contexts is not None)
    files = [*data_files(data or []), *(context_files(contexts) if contexts else []), *files]
    access = chosen_app(serial, user)
    with copying() as told:
        done = push(access, files, told)
    total = sum(file.size_bytes for file in files)
    words = f"{len(done.sent)} files sent ({done.sent_bytes / 1e6:,.1f} MB), {len(done.unchanged)} were there"
    if done.resumed_bytes:
        words += f", {done.resumed_bytes / 1e6:,.1f} MB of an earlier push"
    called = files[-1].folder.rpartition("/")[2]
    rows = f" --train {data[0].name}" if data else " --train ROWS"
    console = Console(stderr=True)
    console.print(f"{words}; next: seedtune device train {called}{rows}", highlight=False, soft_wrap=True)
    if json:
        print_json(
            {
                "bundle": called,
                "sent": done.sent,
                "unchanged": done.unchanged,
                "sent_bytes": done.sent_bytes,
                "resumed_bytes": done.resumed_bytes,
                "total_bytes": total,
            }
        )
