"""Puts the commands of ``seedtune device`` together."""

from __future__ import annotations

import typer

from seedtune.runtime.cli.device.doctor import doctor_command
from seedtune.runtime.cli.device.follow import follow_command
from seedtune.runtime.cli.device.install import install_command
from seedtune.runtime.cli.device.listing import list_command
from seedtune.runtime.cli.device.memory import memory_command
from seedtune.runtime.cli.device.pull import pull_command
from seedtune.runtime.cli.device.push import push_command
from seedtune.runtime.cli.device.status import status_command, stop_command
from seedtune.runtime.cli.device.train import resume_command, train_command

device_app = typer.Typer(
    name="device",
    help="Tune on an Android phone from the desk, through adb: install, push, train, follow, pull, and its memory.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
device_app.command("list")(list_command)
device_app.command("doctor")(doctor_command)
device_app.command("install")(install_command)
device_app.command("push")(push_command)
device_app.command("train")(train_command)
device_app.command("follow")(follow_command)
device_app.command("status")(status_command)
device_app.command("stop")(stop_command)
device_app.command("resume")(resume_command)
device_app.command("pull")(pull_command)
device_app.command("memory")(memory_command)
