"""From adb's words to an error with a remedy, or to :class:`DisconnectedError` where waiting may help.

adb exits with 1 for its own failures as well as for those of a command on the phone, and with 0 for some failures, so
its words count. They are those of adb 36 (``adb/client``, ``adb/transport.cpp``), and have been the same for many
years.
"""

from __future__ import annotations

from seedtune.runtime.device.adb.protocol import DisconnectedError
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.errors import SeedTuneError

UNAUTHORISED = "unlock the phone, and allow this computer in the question on its screen (Allow USB debugging?)"
OFFLINE = "pull the cable and put it back; if that does not help: adb kill-server, then adb devices"
NO_PERMISSION = (
    "let your user reach USB devices: on Debian, apt-get install android-sdk-platform-tools-common, log in anew"
)
ABSENT = (
    "connect a phone by a cable that carries data, and switch on Settings > Developer options > USB debugging; "
    "without a cable: adb pair, then adb connect (docs/guides/phone-from-the-desk.md)"
)
# Words of adb -> whether waiting may help, what is wrong, what to do.
_WORDS: tuple[tuple[str, bool, str, str], ...] = (
    ("unauthorized", False, "the phone has not allowed this computer to debug it", UNAUTHORISED),
    ("insufficient permissions", False, "this user may not use the phone's USB port", NO_PERMISSION),
    ("no permissions", False, "this user may not use the phone's USB port", NO_PERMISSION),
    ("more than one device", False, "several phones are connected", "choose one with --serial; seedtune device list"),
    ("no devices/emulators found", True, "no phone is connected", ABSENT),
    ("device offline", True, "the phone is connected, and does not answer", OFFLINE),
    ("device still authorizing", True, "the phone is still asking whether to allow this computer", UNAUTHORISED),
    ("device still connecting", True, "the phone is still connecting", "wait some seconds, and try again"),
    ("not found", True, "this phone is not connected", ABSENT),
    ("closed", True, "the connection to the phone was closed", OFFLINE),
    ("protocol fault", True, "the connection to the phone broke", OFFLINE),
    ("connection reset", True, "the connection to the phone broke", OFFLINE),
    ("no such device", True, "this phone is not connected", ABSENT),
)


def refusal(words: bytes, serial: str) -> SeedTuneError | DisconnectedError:
    """What adb's ``words`` on standard error mean for the phone ``serial``."""
    text = plain(words).strip()
    lowered = text.lower()
    for word, may_wait, what, remedy in _WORDS:
        if word in lowered:
            return DisconnectedError(text) if may_wait else SeedTuneError(what, value=text or serial, remedy=remedy)
    # Nothing was said at all: the connection was lost in mid-command.
    if not text:
        return DisconnectedError(f"the connection to {serial} was lost")
    return SeedTuneError(
        "adb failed",
        value=text,
        rule="a phone that adb can talk to",
        remedy="seedtune device doctor says what is wrong",
    )


def given_up(error: DisconnectedError, serial: str) -> SeedTuneError:
    """The error for somebody who does not wait for ``serial``."""
    return SeedTuneError("the phone cannot be reached", value=f"{serial}: {error}", remedy=ABSENT)
