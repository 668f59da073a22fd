"""Options of every command about a phone, and the phone that they mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.phones import chosen
from seedtune.runtime.device.app.access import Access, find_access
from seedtune.runtime.device.files.push import Progress as Told

SerialOption = Annotated[
    str | None,
    typer.Option(
        "--serial", "-s", help="The phone, where several are connected. Default: ANDROID_SERIAL, or the only one."
    ),
]
UserOption = Annotated[
    int | None,
    typer.Option("--user", min=0, help="The profile of the phone that the app is installed for, such as 10."),
]


def chosen_phone(serial: str | None) -> Phone:
    """The phone that ``--serial`` means.

    Raises:
        SeedTuneError: there is no adb, no phone, or no choice was made.
    """
    adb = CommandLineAdb()
    return Phone(adb, chosen(adb, serial).serial)


def chosen_app(serial: str | None, user: int | None) -> Access:
    """The app's folder on that phone.

    Raises:
        SeedTuneError: as above, or the app is not installed, or its files cannot be reached.
    """
    return find_access(chosen_phone(serial), user)


@contextmanager
def copying() -> Iterator[Told]:
    """A bar on standard error for each file that is copied; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        tasks = {}

        def told(place: str, done: int, of: int) -> None:
            if place not in tasks:
                tasks[place] = progress.add_task(place.rpartition("/")[2], total=of)
            progress.update(tasks[place], completed=done)

        yield told
