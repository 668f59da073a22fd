"""``seedtune device doctor``: what is wrong with cable, phone and app, and what to do."""

from __future__ import annotations

import typer
from rich.console import Console

from seedtune.runtime.cli.device.options import SerialOption, UserOption
from seedtune.runtime.cli.doctor import Finding, Status, findings_table
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.phones import chosen
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.device.app.access import find_access
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.fitness import fitness
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError


def doctor_command(serial: SerialOption = None, user: UserOption = None, json: JsonOption = False) -> None:
    """Say what is wrong with cable, permission, Android, storage, battery and background limits, and what to do.

    Examples:

        seedtune device doctor

        seedtune device doctor --serial R58M123ABC --json
    """
    found = findings(serial, user)
    Console(stderr=json).print(findings_table(found))
    broken = any(finding.status is Status.MISSING for finding in found)
    if json:
        listed = [{"name": f.name, "status": f.status, "found": f.found, "advice": f.advice} for f in found]
        print_json({"ok": not broken, "findings": listed})
    if broken:
        raise typer.Exit(EXIT_CODE)


def findings(serial: str | None, user: int | None) -> list[Finding]:
    """One after the other, up to the first without which the next cannot be asked."""
    found: list[Finding] = []
    try:
        adb = CommandLineAdb()
        found.append(_version(adb))
        phone = Phone(adb, chosen(adb, serial).serial)
        found.append(Finding("cable and permission", Status.OK, phone.serial))
        facts = read_facts(phone)
        found += [Finding(fit.name, Status(fit.status), fit.found, fit.advice) for fit in fitness(facts)]
        if facts.installed:
            found.append(Finding("the app's files", Status.OK, find_access(phone, user).described))
    except SeedTuneError as error:
        what = error.what if error.value is None else f"{error.what}: {error.value}"
        name = ("adb", "cable and permission", "phone")[min(len(found), 2)]
        name = name if len(found) < 3 else "the app's files"
        found.append(Finding(name, Status.MISSING, what, error.remedy or ""))
    return found


def _version(adb: CommandLineAdb) -> Finding:
    words = plain(adb.run(["version"]).out).splitlines()
    version = next((line for line in words if line.startswith("Version")), "adb")
    return Finding("adb", Status.OK, f"{version}, {adb.program}")
