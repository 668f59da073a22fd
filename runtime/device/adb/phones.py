"""The phones that adb sees, and which of them is meant."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

from seedtune.runtime.device.adb.protocol import Adb
from seedtune.runtime.device.adb.refusals import ABSENT, NO_PERMISSION, OFFLINE, UNAUTHORISED
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.errors import SeedTuneError

READY = "device"
# State -> what is wrong, what to do.
STATES = {
    "unauthorized": ("the phone has not allowed this computer to debug it", UNAUTHORISED),
    "authorizing": ("the phone is asking whether to allow this computer", UNAUTHORISED),
    "offline": ("the phone is connected, and does not answer", OFFLINE),
    "connecting": ("the phone is still connecting", "wait some seconds, and try again"),
    "no permissions": ("this user may not use the phone's USB port", NO_PERMISSION),
    "recovery": ("the phone is in recovery", "restart the phone into Android"),
    "rescue": ("the phone is in rescue mode", "restart the phone into Android"),
    "sideload": ("the phone waits for an update", "restart the phone into Android"),
    "bootloader": ("the phone is in its bootloader", "restart the phone into Android: fastboot reboot"),
    "host": ("this is another computer", "choose a phone with --serial"),
}
# States that end by themselves where the phone is well.
PASSING = ("offline", "connecting", "authorizing")
PATIENCE_SECONDS = 3.0
_LINE = re.compile(r"(?P<serial>\S.*?)\s+(?P<state>no permissions|[a-z]+)\b(?P<rest>.*)")


@dataclass(frozen=True)
class Connected:
    """A line of ``adb devices -l``; ``state`` is adb's word, "device" for one that is ready."""

    serial: str
    state: str
    model: str

    @property
    def ready(self) -> bool:
        """Whether commands reach it."""
        return self.state == READY

    def refusal(self) -> SeedTuneError:
        """Why it is not ready, and what to do."""
        what, remedy = STATES.get(self.state, ("the phone is not ready", OFFLINE))
        return SeedTuneError(what, value=f"{self.serial}: {self.state}", rule='the state "device"', remedy=remedy)


def connected(adb: Adb) -> list[Connected]:
    """Every phone that adb sees, ready or not.

    Raises:
        SeedTuneError: adb's server cannot be started.
    """
    output = adb.run(["devices", "-l"])
    if output.status:
        raise SeedTuneError(
            "adb cannot list phones", value=plain(output.errors).strip(), remedy="adb kill-server, then try again"
        )
    text = plain(output.out)
    # Before the heading adb may tell of its server.
    _, _, lines = text.partition("List of devices attached")
    phones = []
    for line in lines.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found:
            model = re.search(r"\bmodel:(\S+)", found["rest"])
            phones.append(Connected(found["serial"], found["state"], model[1] if model else ""))
    return phones


def chosen(adb: Adb, serial: str | None) -> Connected:
    """The phone that is meant, of those that adb sees; a cable that was just put back is given a moment.

    Args:
        adb: that is asked.
        serial: what was typed; else ANDROID_SERIAL, as for adb itself.

    Raises:
        SeedTuneError: as :func:`connected` and :func:`choose`.
    """
    serial = serial or os.environ.get("ANDROID_SERIAL") or None
    given_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        phones = connected(adb)
        passing = [phone for phone in phones if phone.state in PASSING and serial in (None, phone.serial)]
        if not passing or time.monotonic() > given_up:
            return choose(phones, serial)
        time.sleep(0.1)


def choose(phones: list[Connected], serial: str | None) -> Connected:
    """The phone that is meant: ``serial``, or the only one there is.

    Raises:
        SeedTuneError: there is none, several and no choice was made, or it is not ready.
    """
    named = [phone for phone in phones if serial in (None, phone.serial)]
    if not named:
        there = ", ".join(phone.serial for phone in phones)
        raise SeedTuneError(
            "no phone is connected" if serial is None else "this phone is not connected",
            value=serial,
            rule=f"one of those that adb sees: {there}" if phones else "a phone that adb sees",
            remedy="choose one of them with --serial" if phones else ABSENT,
        )
    ready = [phone for phone in named if phone.ready]
    if len(ready) > 1:
        raise SeedTuneError(
            "several phones are connected, and none was chosen",
            value=", ".join(f"{phone.serial} ({phone.model or 'unnamed'})" for phone in ready),
            rule="one phone",
            remedy=f"--serial {ready[0].serial}, or set ANDROID_SERIAL",
        )
    if not ready:
        raise named[0].refusal()
    return ready[0]
