"""The start of a command line that runs an APK's engine on this machine; what `python scripts/android` is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from lab.android.apk_machine import ApkMachine
from lab.android.arm64 import Arm64
from lab.android.tools import ROOT, ToolError, call

ANDROID = ROOT / "android_app"
ENGINE = ANDROID / "engine" / "target"
# Kind of processor -> the APK that `scripts/build_apk` makes for it.
APKS = {"x86_64": "seedtune-x86_64.apk", "arm64-v8a": "seedtune.apk"}
CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"


def command(
    abi: str = "x86_64", of_the_apk: bool = True, classpath: Sequence[Path] = (), apk: Path | None = None
) -> list[str]:
    """A command line up to the class; the class and its arguments follow.

    ``TuneProcessKt`` and the other classes of the engine's tests are on the class path where they were compiled.

    Args:
        abi: "x86_64" or "arm64-v8a", which is emulated.
        of_the_apk: the APK's bytecode, or the engine's class files.
        classpath: what is looked in besides.
        apk: the one that was built last for ``abi``, if not given.

    Raises:
        ToolError: there is no such APK, or a tool cannot be fetched or fails.
        UnavailableError: the emulator cannot be had.
    """
    apk = apk or ANDROID / "app" / "target" / APKS[abi]
    if not apk.is_file():
        raise ToolError(f"{apk} is not there; ./scripts/build_apk builds it where the runtime can be had")
    folder = kept_folder()
    machine = ApkMachine(apk, folder)
    paths = [*classpath, ENGINE / "test-classes"]
    if not of_the_apk:
        paths = [ENGINE / "classes", *paths, *_libraries(folder)]
    if abi == "x86_64":
        return machine.java(paths, of_the_apk=of_the_apk)
    return Arm64(folder / "arm64").java(machine, paths, of_the_apk=of_the_apk)


def kept_folder() -> Path:
    """Where tools and what is made of APKs are kept, for all checkouts of this user."""
    return Path(os.environ.get("SEEDTUNE_CACHE") or platformdirs.user_cache_path("seedtune")) / "android"


def _libraries(folder: Path) -> list[Path]:
    """The engine's libraries, by Maven."""
    listed = folder / "classpath"
    call(["mvn", "-B", "-q", "-f", ANDROID / "pom.xml", "-pl", "engine", CLASSPATH, f"-Dmdep.outputFile={listed}"])
    return [Path(path) for path in listed.read_text().strip().split(os.pathsep)]
