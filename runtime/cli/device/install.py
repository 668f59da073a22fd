"""``seedtune device install``: the app onto the phone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.device.options import SerialOption, chosen_phone
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.fitness import require_fit
from seedtune.runtime.device.app.install import exempt, grant, install, require_apk
from seedtune.runtime.errors import SeedTuneError

BUILD = "scripts/build_apk"
BUILT = ("android_app/app/target/seedtune.apk", "android_app/app/target/seedtune-no-runtime.apk")


def install_command(
    apk: Annotated[
        Path | None,
        typer.Argument(
            help="The APK. Default: the one that was built in this checkout, which is built if need be.",
            show_default=False,
        ),
    ] = None,
    serial: SerialOption = None,
    unrestricted: Annotated[
        bool | None,
        typer.Option(
            "--unrestricted/--restricted",
            help="Free the app of battery optimisation, which may end long runs. Default: ask on a terminal.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Install the app, let it show its notification, and, if you agree, run in the background for as long as it takes.

    What the app holds on the phone stays. An APK without ONNX Runtime installs too, and cannot tune.

    Examples:

        seedtune device install

        seedtune device install seedtune.apk --unrestricted
    """
    console = Console(stderr=True)
    phone = chosen_phone(serial)
    facts = read_facts(phone)
    require_fit(facts)
    package = apk or _built(console)
    abis = require_apk(package)
    if not abis:
        console.print(f"{package} has no ONNX Runtime in it: the app will open, and cannot tune", highlight=False)
    install(phone, package)
    granted = grant(phone) if facts.info.sdk >= 33 else True
    if unrestricted is None:
        unrestricted = console.is_terminal and typer.confirm(
            "Free the app of battery optimisation, so that long runs are not ended?", default=True, err=True
        )
    freed = exempt(phone) if unrestricted else facts.exempt
    console.print(f"installed {package.name}; next: seedtune device push BUNDLE --data ROWS", highlight=False)
    if not freed:
        console.print("battery optimisation is on for the app: the phone may end long runs", highlight=False)
    if json:
        print_json(
            {"apk": str(package), "abis": abis, "notifications": granted, "unrestricted": freed, "serial": phone.serial}
        )


def _built(console: Console) -> Path:
    """The APK of the checkout that this is run in.

    Raises:
        SeedTuneError: this is no checkout, or the build fails.
    """
    for name in BUILT:
        if Path(name).is_file():
            return Path(name)
    script = Path(BUILD)
    if not script.is_file() or shutil.which("mvn") is None:
        raise SeedTuneError(
            "there is no APK to install",
            value=None if script.is_file() else str(Path.cwd()),
            rule="an APK as the argument, or a checkout of SeedTune with Maven to build one",
            remedy="seedtune device install seedtune.apk",
        )
    console.print("building the app, which takes some minutes", highlight=False)
    if subprocess.run([str(script)], check=False).returncode:
        raise SeedTuneError("the app could not be built", file=script, remedy="run it alone; it says what is wrong")
    return next(Path(name) for name in BUILT if Path(name).is_file())
