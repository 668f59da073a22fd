"""A run on the phone, followed through whatever happens: no line is lost, none is there twice, a gap is called one."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from follow_lab import FAST, GROWING, app_of, followed, notices_of, start, steps_of
from standin_app import WritingApp, append, put, result, step, telemetry
from standin_phone import StandIn, close_shared_storage

from seedtune.runtime.device.app.access import Access, find_access
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.watch.follow import Follower, Pace
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.events import Evaluated, Event, Finished, Notice, Prepared, Step
from seedtune.runtime.telemetry.phone.records import OUTSIDE_FILE, OutsideSample
from seedtune.runtime.telemetry.steplog import read_json_lines


def test_it_yields_what_a_run_made_here_yields(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=120, pause_seconds=0.005)
    events, follower = followed(access, tmp_path / "run")
    assert isinstance(events[0], Prepared)
    assert events[0].steps == 120
    assert steps_of(events) == list(range(1, 121))
    assert [event.record.step for event in events if isinstance(event, Evaluated)] == [50, 100]
    assert isinstance(events[-1], Finished)
    assert events[-1].result.steps == 120
    assert notices_of(events) == []
    for name in (*GROWING, "run.json", "result.json"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()
    assert (follower.continuity.lines, follower.continuity.missing, follower.continuity.doubled) == (120, 0, 0)


@pytest.mark.parametrize("disconnects", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_disconnects_lose_no_line_and_double_none(
    disconnects: int, access: Access, standin: StandIn, tmp_path: Path
) -> None:
    # The run ends when the last cable was pulled, not before.
    run = start(standin, access, steps=10**9, pause_seconds=0.01)

    def pull_the_cable() -> None:
        for number in range(disconnects):
            heard = len(standin.heard)
            # Every other time in the middle of the first look, else when one was through.
            while len(standin.heard) < heard + 1 + number % 2:
                time.sleep(0.002)
            time.sleep(0.003 * (number % 11))
            standin.cut()
        app_of(standin).told("org.seedtune.app.STOP", {})

    cutting = threading.Thread(target=pull_the_cable, daemon=True)
    cutting.start()
    events, follower = followed(access, tmp_path / "run", pace=Pace(interval=0.05, away=60.0))
    cutting.join()
    assert standin.cuts >= disconnects
    made = len((run / "steps.jsonl").read_bytes().splitlines())
    assert steps_of(events) == list(range(1, made + 1))
    for name in GROWING:
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()
    found = follower.continuity
    assert (found.lines, found.missing, found.doubled, found.processes) == (made, 0, 0, 1)


def test_a_phone_that_was_away_for_long_is_caught_up_with(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=2000, hold_at=50)

    def away(event: Event) -> None:
        if isinstance(event, Step) and event.record.step == 50:
            standin.switch_off()
            app_of(standin).hold_at = None
            threading.Timer(1.0, standin.switch_on).start()

    events, _ = followed(access, tmp_path / "run", away)
    assert steps_of(events) == list(range(1, 2001))
    assert any("out of reach" in notice for notice in notices_of(events))
    assert any("is back after" in notice for notice in notices_of(events))
    assert (tmp_path / "run" / "steps.jsonl").read_bytes() == (run / "steps.jsonl").read_bytes()


def test_following_may_end_and_begin_again_at_any_time(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=600, pause_seconds=0.002)
    for until in (1, 7, 100, 101):
        for event in Follower(access, "first", Mirror(tmp_path / "run"), pace=FAST):
            if isinstance(event, Step) and event.record.step == until:
                break
    events, _ = followed(access, tmp_path / "run")
    assert steps_of(events) == list(range(1, 601))
    for name in GROWING:
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()
    samples = read_json_lines(tmp_path / "run" / OUTSIDE_FILE, OutsideSample)
    assert [sample.sequence for sample in samples] == list(range(len(samples)))


def test_a_killed_process_is_told_of_and_its_run_followed_on(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=400, hold_at=60)
    standin.dumpsys["activity exit-info"] = EXITS

    def kill(event: Event) -> None:
        if isinstance(event, Step) and event.record.step == 60:
            app_of(standin).kill()
            standin.publish()
            app_of(standin).hold_at = 300
        elif isinstance(event, Notice) and "process is gone" in event.text:
            app_of(standin).again()
            standin.publish()
        elif isinstance(event, Notice) and "LOW_MEMORY" in event.text:
            app_of(standin).hold_at = None

    events, follower = followed(access, tmp_path / "run", kill)
    assert steps_of(events) == list(range(1, 401))
    assert any("process is gone" in notice for notice in notices_of(events))
    assert any("3 (LOW_MEMORY)" in notice for notice in notices_of(events))
    assert follower.continuity.processes == 2
    assert (follower.continuity.missing, follower.continuity.doubled) == (0, 0)
    assert (tmp_path / "run" / "steps.jsonl").read_bytes() == (run / "steps.jsonl").read_bytes()


def test_a_restarted_phone_is_told_of_and_the_run_goes_on_when_it_is_resumed(
    access: Access, standin: StandIn, tmp_path: Path
) -> None:
    start(standin, access, steps=300, hold_at=40)

    def restart(event: Event) -> None:
        if isinstance(event, Step) and event.record.step == 40:
            standin.reboot()
            standin.publish()
            app_of(standin).hold_at = None

    with pytest.raises(SeedTuneError, match="no process") as ended:
        followed(access, tmp_path / "run", restart)
    assert "seedtune device resume first" in str(ended.value)
    app_of(standin).again()
    standin.publish()
    events, follower = followed(access, tmp_path / "run")
    assert steps_of(events) == list(range(1, 301))
    assert follower.continuity.processes == 2
    boots = {sample.boot for sample in read_json_lines(tmp_path / "run" / OUTSIDE_FILE, OutsideSample)}
    assert len(boots) == 2


def test_a_missing_line_is_a_gap_and_a_doubled_one_is_counted(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=5)
    app_of(standin).wait()
    for number in (8, 9):
        append(run / "steps.jsonl", step(number))
    for sequence in (7, 7, 8):
        append(run / "telemetry-000001.jsonl", telemetry(sequence) | {"lines_dropped": 3 if sequence == 8 else 0})
    put(run / "result.json", json.dumps(result(9, 9)))
    events, follower = followed(access, tmp_path / "run")
    said = notices_of(events)
    assert "steps.jsonl lacks steps 6 to 7" in said
    assert "telemetry-000001.jsonl: lines 5 to 6 of process 1 are missing" in said
    assert any("no room for 3 lines" in notice for notice in said)
    assert follower.continuity.doubled == 1


def test_a_log_that_was_written_anew_is_fetched_again_and_the_old_one_kept(
    access: Access, standin: StandIn, tmp_path: Path
) -> None:
    run = start(standin, access, steps=300, hold_at=40)
    written: list[bool] = []

    def rewrite(event: Event) -> None:
        if isinstance(event, Step) and event.record.step == 40 and not written:
            app_of(standin).kill()
            # As the engine does when steps are newer than the journal: the last ones are taken out, and made again.
            lines = (run / "steps.jsonl").read_bytes().splitlines(keepends=True)[:30]
            (run / "steps.jsonl").write_bytes(b"".join(lines))
            app_of(standin).rows = 9
            written.append(True)
            app_of(standin).hold_at = None
            app_of(standin).again()

    events, _ = followed(access, tmp_path / "run", rewrite)
    assert steps_of(events) == list(range(1, 301))
    assert (tmp_path / "run" / "steps.jsonl").read_bytes() == (run / "steps.jsonl").read_bytes()
    assert (tmp_path / "run" / "steps.jsonl.before-1").is_file()
    assert any("written anew" in notice for notice in notices_of(events))


def test_read_segments_are_deleted_on_the_phone_before_it_runs_out_of_room(
    access: Access, standin: StandIn, tmp_path: Path
) -> None:
    run = start(standin, access, steps=700, pause_seconds=0.012, segment_bytes=4000)
    events, follower = followed(access, tmp_path / "run")
    assert isinstance(events[-1], Finished)
    # 700 lines are some thirty segments; a phone keeps sixteen.
    assert len(list((tmp_path / "run").glob("telemetry-*.jsonl"))) > 20
    assert len(list(run.glob("telemetry-*.jsonl"))) <= 16
    assert (follower.continuity.lines, follower.continuity.missing, follower.continuity.doubled) == (700, 0, 0)


def test_the_phone_is_asked_at_most_once_a_second(access: Access, standin: StandIn, tmp_path: Path) -> None:
    start(standin, access, steps=400, pause_seconds=0.01)
    heard = len(standin.heard)
    began = time.monotonic()
    _, follower = followed(access, tmp_path / "run", pace=Pace())
    seconds = time.monotonic() - began
    assert seconds > 4
    assert len(standin.heard) - heard == follower.looks <= seconds + 2


def test_files_are_followed_as_the_app_too(standin: StandIn, phone: Any, tmp_path: Path) -> None:
    close_shared_storage(standin)
    access = find_access(phone)
    assert access.as_app
    standin.app = WritingApp(standin.root / "data" / "data" / "org.seedtune.app" / "files")
    standin.app.told("org.seedtune.app.START", {"--es run": "first"})
    standin.publish()
    events, _ = followed(access, tmp_path / "run")
    assert steps_of(events) == list(range(1, 201))


def test_the_clock_of_the_phone_may_be_set(access: Access, standin: StandIn, tmp_path: Path) -> None:
    # Times are counted since the phone was switched on; the date of the lines is nowhere used.
    run = start(standin, access, steps=100, pause_seconds=0.005)
    import os

    def set_clock(event: Event) -> None:
        if isinstance(event, Step) and event.record.step == 20:
            os.utime(run / "steps.jsonl", (0, 0))

    events, _ = followed(access, tmp_path / "run", set_clock)
    assert steps_of(events) == list(range(1, 101))


EXITS = """ACTIVITY MANAGER PROCESS EXIT INFO (dumpsys activity exit-info)
  package: org.seedtune.app
    Historical Process Exit for uid=10234
        ApplicationExitInfo #0:
          timestamp=2026-01-31 12:00:00.000 pid=4321 realUid=10234 packageUid=10234 definingUid=10234 user=0
          process=org.seedtune.app reason=3 (LOW_MEMORY) subreason=0 (UNKNOWN) status=0
          importance=125 pss=0.00 rss=1.2GB description=null state=empty trace=null
        ApplicationExitInfo #1:
          process=org.seedtune.app reason=10 (USER REQUESTED) subreason=21 (FORCE STOP) status=0
"""
