"""A run that is only written, started and followed: what tests of following share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from standin_app import WritingApp
from standin_phone import StandIn

from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.watch.follow import Follower, Pace
from seedtune.runtime.telemetry.events import Event, Notice, Step

FAST = Pace(interval=0.05, away=20.0, gone=1.5, start=2.0)
GROWING = ("steps.jsonl", "evaluations.jsonl", "telemetry-000001.jsonl")


def app_of(standin: StandIn) -> WritingApp:
    assert isinstance(standin.app, WritingApp)
    return standin.app


def start(standin: StandIn, access: Access, **changes: Any) -> Path:
    """Starts a run; its folder on the phone."""
    for name, value in changes.items():
        setattr(app_of(standin), name, value)
    standin.app.told("org.seedtune.app.START", {"--es run": "first", "--es bundle": "b", "--es train": "t.jsonl"})  # type: ignore[union-attr]
    standin.publish()
    return standin.files / "runs" / "first"


def followed(
    access: Access, folder: Path, during: Callable[[Event], None] | None = None, **options: Any
) -> tuple[list[Event], Follower]:
    follower = Follower(access, "first", Mirror(folder), pace=options.pop("pace", FAST), **options)
    events = []
    for event in follower:
        events.append(event)
        if during:
            during(event)
    return events, follower


def steps_of(events: list[Event]) -> list[int]:
    return [event.record.step for event in events if isinstance(event, Step)]


def notices_of(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]
