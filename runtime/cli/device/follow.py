"""``seedtune device follow``: comes back to a run on the phone."""

from __future__ import annotations

from typing import Annotated

import typer

from seedtune.runtime.cli.device.following import OutOption, follow_run, run_folder
from seedtune.runtime.cli.device.options import SerialOption, UserOption, chosen_app
from seedtune.runtime.cli.device.status import newest_run
from seedtune.runtime.cli.options import JsonOption
from seedtune.runtime.device.files.pull import require_run


def follow_command(
    run: Annotated[
        str | None, typer.Argument(help="The run's name on the phone. Default: the newest.", show_default=False)
    ] = None,
    out: OutOption = None,
    serial: SerialOption = None,
    user: UserOption = None,
    json: JsonOption = False,
) -> None:
    """Follow a run on the phone: what it told while nobody listened, and then what it tells. Ctrl-C detaches.

    Examples:

        seedtune device follow

        seedtune device follow bundle-train --out runs/phone
    """
    access = chosen_app(serial, user)
    name = require_run(access, run) if run else newest_run(access)
    follow_run(access, name, run_folder(name, out), json=json)
