"""What a phone is and has: asked in one shell call."""

from __future__ import annotations

import re
from dataclasses import dataclass

from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.device.app.names import PACKAGE
from seedtune.runtime.device.files.listing import available_bytes
from seedtune.runtime.telemetry.phone.dumpsys import Battery, Thermal, parse_battery, parse_thermal
from seedtune.runtime.telemetry.phone.proc import sizes
from seedtune.runtime.telemetry.phone.records import PhoneInfo

PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "abis": "ro.product.cpu.abilist",
    "booted": "sys.boot_completed",
}
_ASKED = {
    "memory": "cat /proc/meminfo",
    "storage": "df -k /sdcard",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "path": f"pm path {PACKAGE}",
    "package": f"dumpsys package {PACKAGE} | grep -m 3 -E 'versionName=|flags='",
    "exempt": f"dumpsys deviceidle whitelist | grep {PACKAGE}",
    "pid": f"pidof {PACKAGE}",
}


@dataclass(frozen=True)
class Facts:
    """What the phone says of itself; None where it does not tell.

    Attributes:
        info: what goes into a RUN folder.
        booted: whether Android has started.
        available_memory_bytes: what could be given to a process now.
        free_storage_bytes: on shared storage.
        installed, debuggable: the app, and whether ``run-as`` works for it.
        exempt: whether the app may run in the background for as long as it likes (battery optimisation is off for it).
        running: whether the app has a process.
    """

    info: PhoneInfo
    booted: bool
    available_memory_bytes: int | None
    free_storage_bytes: int | None
    battery: Battery
    thermal: Thermal
    installed: bool
    debuggable: bool
    exempt: bool
    running: bool


def read_facts(phone: Phone) -> Facts:
    """Asks ``phone``.

    Raises:
        SeedTuneError: it cannot be reached.
    """
    parts = [f"echo '== {name}'; getprop {key}" for name, key in PROPERTIES.items()]
    parts += [f"echo; echo '== {name}'; {command} 2>/dev/null" for name, command in _ASKED.items()]
    text = plain(phone.patient("\n".join([*parts, "true"])).out)
    said = {name.strip(): body.strip() for name, body in re.findall(r"^== (\w+)\n(.*?)(?=^== |\Z)", text, re.M | re.S)}
    memory = sizes(said.get("memory", ""))
    version = re.search(r"versionName=(\S+)", said.get("package", ""))
    sdk = said.get("sdk", "")
    info = PhoneInfo(
        manufacturer=said.get("manufacturer", "")[:60],
        model=said.get("model", "")[:60],
        android=said.get("android", "")[:20],
        sdk=int(sdk) if sdk.isdigit() else 0,
        abis=[abi for abi in said.get("abis", "").split(",") if abi],
        memory_bytes=memory.get("MemTotal"),
        app_version=version[1] if version else None,
    )
    return Facts(
        info=info,
        booted=said.get("booted") == "1",
        available_memory_bytes=memory.get("MemAvailable"),
        free_storage_bytes=available_bytes(said.get("storage", "")),
        battery=parse_battery(said.get("battery", "")),
        thermal=parse_thermal(said.get("thermal", "")),
        installed=said.get("path", "").startswith("package:"),
        debuggable="DEBUGGABLE" in said.get("package", ""),
        exempt=PACKAGE in said.get("exempt", ""),
        running=said.get("pid", "").split(" ")[0].isdigit(),
    )
