"""Where the adb program is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError

PROGRAM = "adb.exe" if sys.platform == "win32" else "adb"


def find_adb() -> Path:
    """The adb program: on PATH, in the Android SDK, or the one that comes with the package adbutils, in this order.

    Raises:
        SeedTuneError: there is none.
    """
    on_path = shutil.which("adb")
    candidates = [Path(on_path)] if on_path else []
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        if os.environ.get(variable):
            candidates.append(Path(os.environ[variable]) / "platform-tools" / PROGRAM)
    candidates.append(_bundled())
    for candidate in candidates:
        if candidate.is_file():
            return _executable(candidate)
    raise SeedTuneError(
        "adb was not found",
        rule="adb on PATH, in ANDROID_HOME/platform-tools, or in the Python package adbutils",
        remedy='pip install "seedtune[device]", which brings one; or install Android\'s platform-tools',
    )


def _bundled() -> Path:
    # Found, not imported: of this package only the program is wanted, and importing it would read the network's state.
    found = importlib.util.find_spec("adbutils")
    folder = Path(found.origin).parent if found and found.origin else Path("adbutils")
    return folder / "binaries" / PROGRAM


def _executable(program: Path) -> Path:
    """``program``, which installers of wheels leave without the right to be run."""
    if not os.access(program, os.X_OK):
        try:
            program.chmod(program.stat().st_mode | 0o111)
        except OSError as error:
            raise SeedTuneError(
                "adb may not be run",
                file=program,
                rule="a program with the right to be executed",
                remedy=f"chmod +x {program}",
            ) from error
    return program
