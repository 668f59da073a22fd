"""The app from the desk: its names held against the Kotlin, whether a phone can run it, installing and starting it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from standin_phone import StandIn

from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.app import names
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.facts import read_facts
from seedtune.runtime.device.app.fitness import fitness, require_fit
from seedtune.runtime.device.app.install import install, require_apk
from seedtune.runtime.device.app.request import Request, go_on_command, stop_command
from seedtune.runtime.device.app.running import start
from seedtune.runtime.errors import SeedTuneError

KOTLIN = Path(__file__).parents[2] / "android_app" / "app" / "src" / "main" / "kotlin" / "org" / "seedtune" / "app"


def constants(file: str, kind: str = r'"([^"]+)"') -> dict[str, str]:
    text = (KOTLIN / file).read_text("utf-8")
    return dict(re.findall(rf"const val (\w+) = {kind}", text))


def test_extras_are_those_of_the_app_with_their_types() -> None:
    assert set(names.EXTRAS) == set(constants("Request.kt").values())
    text = (KOTLIN / "Request.kt").read_text("utf-8")
    reads = {"text": "--es", "int": "--ei", "long": "--el", "boolean": "--ez"}
    found = re.findall(r"extras\.(text|int|long|boolean)\(([A-Z_]+)", text)
    types = {constants("Request.kt")[name]: reads[kind] for kind, name in found}
    assert types == names.EXTRAS
    assert set(Request.__struct_fields__) == set(names.EXTRAS)


def test_actions_and_folders_are_those_of_the_app() -> None:
    actions = {value for name, value in constants("TuningService.kt").items() if name.startswith("ACTION_")}
    assert actions >= {names.START, names.STOP, names.PAUSE, names.RESUME}
    folders = re.search(r"FOLDERS = listOf\(([^)]*)\)", (KOTLIN / "Places.kt").read_text("utf-8"))
    assert folders
    assert set(re.findall(r'"(\w+)"', folders[1])) == {names.BUNDLES, names.DATA, names.CONTEXTS, names.RUNS}
    assert constants("RunRecord.kt")["NAME"] == names.RECORD
    assert constants("TuningJob.kt")["TAG"] == names.LOG_TAG
    pause = re.search(r"STORAGE_BYTES = ([\d_]+)L?( shl (\d+))?", (KOTLIN / "PausePolicy.kt").read_text("utf-8"))
    assert pause
    assert int(pause[1].replace("_", "")) << int(pause[3] or 0) == names.SPARE_STORAGE_BYTES
    manifest = (KOTLIN.parents[3] / "AndroidManifest.xml").read_text("utf-8")
    assert f'namespace = "{names.PACKAGE}"' in (KOTLIN.parents[5] / "build.gradle.kts").read_text("utf-8")
    assert {".TuningService", ".MainActivity"} <= set(re.findall(r'android:name="(\.\w+)"', manifest))


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


def test_a_request_is_the_words_of_am(access: Access, standin: StandIn) -> None:
    from standin_app import WritingApp

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
