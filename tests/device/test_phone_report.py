"""The archive that goes with an issue: figures of every run, and neither rows nor identifiers."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from follow_lab import app_of, start
from standin_phone import StandIn

from phone_report.collect import collect
from phone_report.redact import Redaction
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.errors import SeedTuneError


def test_the_archive_holds_figures_and_leaves_rows_states_and_journals_behind(
    access: Access, standin: StandIn, tmp_path: Path
) -> None:
    run = start(standin, access, steps=20)
    app_of(standin).wait()
    (run / "states").mkdir()
    (run / "states" / "000020.safetensors").write_bytes(b"state")
    (run / "predictions_best.jsonl").write_text('{"text": "a private row"}\n')
    with (run / "steps.jsonl").open("ab") as steps:
        steps.write(json.dumps({"seen": f"{standin.serial} 192.168.7.31 someone@example.org"}).encode() + b"\n")
    out = tmp_path / "report.tar.gz"
    names = dict(collect(access, [], b"[]", out))
    assert {"doctor.json", "first/run.json", "first/steps.jsonl", "first/meminfo.txt", "first/phone.json"} <= set(names)
    assert not any("states" in name or "journal" in name or "predictions" in name for name in names)
    with tarfile.open(out) as archive:
        held = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
        assert all((entry.uid, entry.mtime, entry.uname) == (0, 0, "") for entry in archive)
    assert {name.removeprefix("phone-report/"): len(raw) for name, raw in held.items()} == names
    together = b"".join(held.values())
    for identifier in (standin.serial, "192.168.7.31", "someone@example.org", "a private row"):
        assert identifier.encode() not in together
    assert b'"step"' in held["phone-report/first/steps.jsonl"]


def test_a_run_that_is_not_there_and_a_phone_without_runs_leave_no_archive(access: Access, tmp_path: Path) -> None:
    for runs, words in ((["elsewhere"], "no such run"), ([], "no run")):
        with pytest.raises(SeedTuneError, match=words):
            collect(access, runs, b"[]", tmp_path / "report.tar.gz")
    assert list(tmp_path.glob("*report*")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connected to R58M123ABC", "connected to SERIAL"),
        ("wlan 02:00:00:44:55:66 up", "wlan HARDWARE-ADDRESS up"),
        ("from 10.0.0.7:5555.", "from ADDRESS."),
        ("fe80:0:0:0:1a2b:3c4d:5e6f:7788 up", "ADDRESS up"),
        ("imei 356938035643809;", "imei IDENTIFIER;"),
        ("number 356938035643809", "number IMEI"),
        ('"serialno": "0123abcd"', '"serialno": "IDENTIFIER"'),
        ("android_id=9774d56d682e549c", "android_id=IDENTIFIER"),
        ("/home/jane/models/bundle", "/home/SOMEONE/models/bundle"),
        ("a.b+c@mail.example.org wrote", "ACCOUNT wrote"),
    ],
)
def test_identifiers_are_replaced(text: str, expected: str) -> None:
    assert Redaction(["R58M123ABC"]).applied(text.encode()).decode() == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"step": 12, "loss": 0.69314718, "probe_ms": 383.25, "rss_anon_bytes": 162000000}',
        '{"elapsed_realtime_nanos": 123456789012345678}',
        "onnxruntime 1.26.0, Android 14, kernel 5.15.78",
        "11-26 10:00:00.000 I/SeedTune( 99): step 3 of 50",
        '{"seed": 9223372036854775807, "coefficient": -1.25e-05}',
    ],
)
def test_figures_stay_as_they_are(text: str) -> None:
    assert Redaction(["emulator-5554"]).applied(text.encode()).decode() == text
