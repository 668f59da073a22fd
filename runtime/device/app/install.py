"""The app onto the phone: installed, granted what it may be, and, if its user agrees, freed of battery optimisation."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.refusals import refusal
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.device.app.names import PACKAGE
from seedtune.runtime.errors import SeedTuneError

INSTALL_SECONDS = 600.0
ENGINE = re.compile(r"lib/([^/]+)/libonnxruntime\.so")
NOTIFICATIONS = "android.permission.POST_NOTIFICATIONS"
# The installer's word -> what is wrong, what to do (android.content.pm.PackageManager).
_FAILURES = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": (
        "an app of the same name with another signature is on the phone",
        "pull what it holds (seedtune device pull), then: adb uninstall org.seedtune.app, and install again",
    ),
    "INSTALL_FAILED_VERSION_DOWNGRADE": (
        "a newer version of the app is on the phone",
        "build this one anew, or remove that one: adb uninstall org.seedtune.app",
    ),
    "INSTALL_FAILED_NO_MATCHING_ABIS": (
        "the APK has no libraries for this phone's processor",
        "build it for this phone's ABI; seedtune device list shows it",
    ),
    "INSTALL_FAILED_OLDER_SDK": ("the phone's Android is too old for the app", "take a phone with Android 8 or newer"),
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": ("the phone has too little free storage for the app", "free some"),
    "INSTALL_FAILED_USER_RESTRICTED": (
        "the phone does not let adb install apps",
        "switch on Install via USB in Settings > Developer options, and confirm on the screen",
    ),
    "INSTALL_PARSE_FAILED": ("the phone does not take this file for an app", "build it again: ./scripts/build_apk"),
}


def require_apk(apk: Path) -> list[str]:
    """The ABIs that ``apk`` can tune on.

    Raises:
        SeedTuneError: it is missing, no APK, or lacks the engine, as a build without the runtime does.
    """
    if not apk.is_file():
        raise SeedTuneError("there is no such APK", file=apk, remedy="build one: ./scripts/build_apk")
    try:
        with zipfile.ZipFile(apk) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise SeedTuneError(
            f"this is not an APK ({error})", file=apk, remedy="give the file that ./scripts/build_apk made"
        ) from error
    if "AndroidManifest.xml" not in names:
        raise SeedTuneError(
            "this archive is not an APK", file=apk, rule="an archive with AndroidManifest.xml", remedy="give an APK"
        )
    return sorted({found[1] for name in names if (found := ENGINE.fullmatch(name))})


def install(phone: Phone, apk: Path) -> None:
    """Installs ``apk``, over an older version if there is one: its files stay.

    Raises:
        SeedTuneError: the phone refuses it, and why.
    """
    output = phone.command(["install", "-r", str(apk)], silence_seconds=INSTALL_SECONDS)
    words = plain(output.out + b"\n" + output.errors)
    # adb has said success with status 1 and failure with status 0, by version.
    if re.search(r"^Success", words, re.MULTILINE):
        return
    for word, (what, remedy) in _FAILURES.items():
        if word in words:
            raise SeedTuneError(what, file=apk, value=words.strip()[-300:], remedy=remedy)
    if "Failure [" in words or "INSTALL_" in words:
        raise SeedTuneError(
            "the phone refuses the app", file=apk, value=words.strip()[-300:], remedy="seedtune device doctor"
        )
    problem = refusal(output.errors, phone.serial)
    raise (
        problem
        if isinstance(problem, SeedTuneError)
        else SeedTuneError(
            "the app was not installed", file=apk, value=words.strip()[-300:], remedy="connect the phone, and try again"
        )
    )


def grant(phone: Phone) -> bool:
    """Lets the app show notifications, which Android 13 and later ask for; whether the phone took it.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    return phone.patient(f"pm grant {PACKAGE} {NOTIFICATIONS}").status == 0


def exempt(phone: Phone) -> bool:
    """Frees the app of battery optimisation, which its user must agree to; whether the phone took it.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    return "Added" in phone.patient(f"cmd deviceidle whitelist +{PACKAGE}").text
