"""``seedtune device pull``: a RUN folder from the phone."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.device.following import OutOption, describe_phone, run_folder
from seedtune.runtime.cli.device.options import SerialOption, UserOption, chosen_app, copying
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.files.pull import pull


def pull_command(
    run: Annotated[str, typer.Argument(help="The run's name on the phone.", show_default=False)],
    out: OutOption = None,
    serial: SerialOption = None,
    user: UserOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a run here: journal, logs and states by hash, why its processes ended, meminfo, and the app's log.

    Only what is missing is read; contexts stay on the phone.

    Examples:

        seedtune device pull bundle-train --out runs/phone
    """
    access = chosen_app(serial, user)
    folder = run_folder(run, out)
    with copying() as told:
        done = pull(access, run, mirror := Mirror(folder), told)
    describe_phone(access, mirror)
    console = Console(stderr=True)
    console.print(f"{len(done.fresh)} files, {done.bytes_read / 1e6:,.1f} MB in {folder}", highlight=False)
    if done.growing:
        console.print(f"still growing on the phone: {', '.join(done.growing)}", highlight=False)
    console.print(f"seedtune report {folder}", highlight=False)
    if json:
        print_json({"out": str(folder), "fresh": done.fresh, "growing": done.growing, "bytes_read": done.bytes_read})
