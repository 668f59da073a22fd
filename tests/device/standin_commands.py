"""The programs of the stand-in that know its state: pm, am, cmd, dumpsys, logcat, and the package installer."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from standin_phone import StandIn

PACKAGE = "org.seedtune.app"
# Options of `am` that take a name and a value.
EXTRAS = {"--es", "--ei", "--el", "--ez", "--ef"}


def answer(phone: StandIn, connection: socket.socket) -> None:
    """One question of tests/device/standin_tools/ask.py."""
    with connection, connection.makefile("rb") as asked:
        words = json.loads(asked.readline())
        try:
            status, out, errors = run(phone, words[0], words[1:])
        except Exception as error:  # noqa: BLE001 whatever a test's stand-in does wrong shows in the test
            status, out, errors = 125, "", f"the stand-in failed: {error!r}\n"
        connection.sendall(json.dumps([status, out, errors]).encode())


def run(phone: StandIn, program: str, words: list[str]) -> tuple[int, str, str]:
    if (program == "cmd" and words[:1] == ["package"]) or program == "pm":
        return package_manager(phone, words[1:] if program == "cmd" else words)
    if program == "am":
        return activity_manager(phone, words)
    if program == "logcat":
        return 0, "".join(f"{line}\n" for line in phone.log), ""
    if program == "dumpsys":
        return dumpsys(phone, words)
    if program == "cmd" and words[:2] == ["deviceidle", "whitelist"]:
        phone.exempt = True
        return 0, f"Added: {PACKAGE}\n", ""
    return 20, "", f"{program}: no such service: {' '.join(words)}\n"


def package_manager(phone: StandIn, words: list[str]) -> tuple[int, str, str]:
    if words[:1] == ["path"]:
        if "--user" in words and int(words[words.index("--user") + 1]) != phone.user:
            return 1, "", ""
        return (0, f"package:/data/app/{PACKAGE}/base.apk\n", "") if phone.installed else (1, "", "")
    if words[:1] == ["grant"]:
        phone.log.append(f"granted {words[-1]}")
        return 0, "", ""
    if words[:1] == ["install"]:
        return 0, installed(phone, phone.place(words[-1]).read_bytes()) + "\n", ""
    return 1, "", f"Unknown command: {words[:1]}\n"


def activity_manager(phone: StandIn, words: list[str]) -> tuple[int, str, str]:
    if words[:1] == ["start"]:
        # The activity makes the app's folders, as Places.make() does.
        files = phone.files
        if (phone.root / "sdcard").is_symlink():
            files = phone.root / "data" / "data" / PACKAGE / "files"
        for folder in ("bundles", "data", "contexts", "runs"):
            (files / folder).mkdir(parents=True, exist_ok=True)
        return 0, f"Starting: Intent {{ cmp={words[-1]} }}\n", ""
    if words[:1] == ["force-stop"]:
        if phone.app:
            phone.app.kill()
        return 0, "", ""
    if words[:1] != ["start-foreground-service"]:
        return 1, "", f"Error: unknown command '{words[:1]}'\n"
    if not phone.installed:
        return 0, "Error: Not found; no service started.\n", ""
    action, extras, rest = "", {}, words[1:]
    while rest:
        option = rest.pop(0)
        if option == "-n":
            component = rest.pop(0)
            if component != f"{PACKAGE}/.TuningService":
                return 0, "Error: Not found; no service started.\n", ""
        elif option == "-a":
            action = rest.pop(0)
        elif option in EXTRAS:
            name, value = rest.pop(0), rest.pop(0)
            extras[f"{option} {name}"] = value
        else:
            return 255, "", f"Error: Unknown option: {option}\n"
    assert phone.app is not None
    phone.app.told(action, extras)
    phone.publish()
    return 0, f"Starting service: Intent {{ act={action} cmp={PACKAGE}/.TuningService }}\n", ""


def dumpsys(phone: StandIn, words: list[str]) -> tuple[int, str, str]:
    what = " ".join(words)
    for known, text in phone.dumpsys.items():
        if what.startswith(known):
            return 0, text, ""
    if words[:1] == ["meminfo"] and not (phone.app and phone.app.pid):
        return 0, f"No process found for: {words[-1]}\n", ""
    if words[:1] == ["meminfo"]:
        assert phone.app
        assert phone.app.pid
        return 0, meminfo_of(phone.app.pid), ""
    if words[:1] == ["battery"]:
        return 0, BATTERY, ""
    if words[:1] == ["thermalservice"]:
        return 0, THERMAL, ""
    if words[:1] == ["deviceidle"]:
        return 0, f"  Whitelist user apps:\n    {PACKAGE}\n" if phone.exempt else "  Whitelist system apps:\n", ""
    if words[:1] == ["package"]:
        return 0, f"  Package [{PACKAGE}]\n    versionName=0.1.0\n    flags=[ DEBUGGABLE HAS_CODE ]\n", ""
    return 0, f"Can't find service: {what}\n", ""


def meminfo_of(pid: int) -> str:
    """What the process holds, as Android 14 writes it; the figures are the kernel's, from smaps_rollup."""
    rollup = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    pss, dirty, rss = (int(rollup[name]) for name in ("Pss", "Private_Dirty", "Rss"))
    clean, swap = int(rollup["Private_Clean"]), int(rollup.get("SwapPss", "0"))
    anonymous = int(rollup.get("Pss_Anon", dirty))
    row = "{:>17} {:>8} {:>8} {:>8} {:>8} {:>8}\n"
    text = (
        f"Applications Memory Usage (in Kilobytes):\nUptime: 1 Realtime: 1\n\n** MEMINFO in pid {pid} [{PACKAGE}] **\n"
    )
    text += row.format("", "Pss", "Private", "Private", "SwapPss", "Rss")
    text += row.format("", "Total", "Dirty", "Clean", "Dirty", "Total")
    text += row.format("", *["------"] * 5)
    text += row.format("Native Heap", anonymous, dirty, 0, swap, anonymous)
    text += row.format("Other mmap", pss - anonymous, 0, clean, 0, rss - anonymous)
    text += row.format("TOTAL", pss, dirty, clean, swap, rss)
    text += (
        f" \n App Summary\n                       Pss(KB)                        Rss(KB)\n{'':24}------{'':26}------\n"
    )
    text += f"         Native Heap: {anonymous:8}{'':24}{anonymous:8}\n"
    text += f"           TOTAL PSS: {pss:8}            TOTAL RSS: {rss:8}       TOTAL SWAP PSS: {swap:8}\n"
    return text


BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  health: 2
  present: true
  level: 81
  scale: 100
  voltage: 4123
  temperature: 312
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: 1
Cached temperatures:
\tTemperature{mValue=38.1, mType=3, mName=skin, mStatus=1}
\tTemperature{mValue=54.0, mType=0, mName=CPU0, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=38.4, mType=3, mName=skin, mStatus=1}
\tTemperature{mValue=55.2, mType=0, mName=CPU0, mStatus=0}
"""


def installed(phone: StandIn, apk: bytes) -> str:
    """Takes the APK as Android's installer does, and says what that would say."""
    if phone.install_answer:
        return phone.install_answer
    try:
        with zipfile.ZipFile(io.BytesIO(apk)) as archive:
            names = archive.namelist()
            broken = archive.testzip()
    except zipfile.BadZipFile:
        names, broken = [], None
    if "AndroidManifest.xml" not in names or broken:
        return "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse base.apk]"
    signer = signer_of(apk)
    if not signer:
        return "Failure [INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed collecting certificates for base.apk]"
    abis = {name.split("/")[1] for name in names if name.startswith("lib/")}
    if abis and not abis & set(phone.properties["ro.product.cpu.abilist"].split(",")):
        return "Failure [INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries, res=-113]"
    if int(phone.properties["ro.build.version.sdk"]) < 26:
        return "Failure [INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #26 (current version is #25)]"
    place = phone.root / "data" / "app" / "base.apk"
    known = place.with_suffix(".signer")
    if known.is_file() and known.read_text() != signer:
        return (
            "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package org.seedtune.app signatures do not match "
            "newer version; ignoring!]"
        )
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(apk)
    known.write_text(signer)
    return "Success"


def signer_of(apk: bytes) -> str:
    """SHA-256 of the first certificate in the APK's signing block (APK Signature Scheme v2); empty without one."""
    end = apk.rfind(b"APK Sig Block 42")
    if end < 0:
        return ""
    (size,) = struct.unpack_from("<Q", apk, end - 8)
    place = end + 16 - size
    while place < end - 8:
        length, kind = struct.unpack_from("<QI", apk, place)
        if kind == 0x7109871A:
            # signers > signer > signed data > digests, then certificates > certificate; each behind its length.
            data = apk[place + 12 : place + 8 + length]
            signed = data[12:]
            (digests,) = struct.unpack_from("<I", signed, 0)
            (certificate,) = struct.unpack_from("<I", signed, 4 + digests + 4)
            return hashlib.sha256(signed[12 + digests : 12 + digests + certificate]).hexdigest()
        place += 8 + length
    return ""
