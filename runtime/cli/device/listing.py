"""``seedtune device list``: the phones that adb sees."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.phones import Connected, connected
from seedtune.runtime.device.adb.refusals import ABSENT
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.fitness import MISSING, fitness
from seedtune.runtime.errors import SeedTuneError

HEADINGS = ("serial", "phone", "Android", "memory", "free storage", "ABI", "battery", "state")


def list_command(json: JsonOption = False) -> None:
    """List phones: model, Android, memory, free storage, ABI, battery, and whether they are ready or why not.

    Examples:

        seedtune device list

        seedtune device list --json
    """
    adb = CommandLineAdb()
    phones = [described(Phone(adb, phone.serial), phone) for phone in connected(adb)]
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for phone in phones:
        table.add_row(*(escape(cell) for cell in _cells(phone)))
    console = Console(stderr=json)
    console.print(table if phones else f"no phone is connected\n  remedy: {ABSENT}", highlight=False)
    if json:
        print_json({"phones": phones})


def described(phone: Phone, seen: Connected) -> dict[str, Any]:
    """What is known of a phone; ``problem`` says why it is not ready, and is empty for one that is."""
    fields: dict[str, Any] = {"serial": seen.serial, "state": seen.state, "model": seen.model, "problem": ""}
    if not seen.ready:
        refusal = seen.refusal()
        return fields | {"problem": f"{refusal.what}: {refusal.remedy}"}
    try:
        facts = read_facts(phone)
    except SeedTuneError as error:
        return fields | {"problem": f"{error.what}: {error.remedy}"}
    missing = [fit for fit in fitness(facts) if fit.status == MISSING]
    return fields | {
        "model": f"{facts.info.manufacturer} {facts.info.model}".strip(),
        "android": facts.info.android,
        "sdk": facts.info.sdk,
        "abis": facts.info.abis,
        "memory_bytes": facts.info.memory_bytes,
        "available_memory_bytes": facts.available_memory_bytes,
        "free_storage_bytes": facts.free_storage_bytes,
        "battery_percent": facts.battery.percent,
        "charging": facts.battery.charging,
        "app_version": facts.info.app_version if facts.installed else None,
        "running": facts.running,
        "problem": "; ".join(f"{fit.name}: {fit.found}: {fit.advice}" for fit in missing),
    }


def _cells(phone: dict[str, Any]) -> list[str]:
    def size(name: str) -> str:
        value = phone.get(name)
        return "" if value is None else f"{value / 1e9:.1f} GB"

    percent = phone.get("battery_percent")
    battery = "" if percent is None else f"{percent:.0f} %" + (", charging" if phone.get("charging") else "")
    ready = "tuning" if phone.get("running") else "ready"
    return [
        phone["serial"],
        phone["model"],
        phone.get("android", ""),
        size("memory_bytes"),
        size("free_storage_bytes"),
        (phone.get("abis") or [""])[0],
        battery,
        phone["problem"] or ready,
    ]
