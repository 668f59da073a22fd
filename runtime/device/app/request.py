"""What to tune, as the extras of an Intent: `Request.kt` from the desk's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.names import EXTRAS, RESUME, SERVICE, START, STOP
from seedtune.runtime.device.files.names import require_plain
from seedtune.runtime.telemetry.records import RunDescription


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the app; None is the app's own default. Names are those on the phone, sizes in bytes."""

    bundle: str
    train: str
    run: str
    eval: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    estimator: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    seed: int | None = None
    rows_per_call: int | None = None
    only_while_charging: bool | None = None
    memory_limit: int | None = None
    threads: int | None = None

    def command(self, user: int | None = None) -> str:
        """The shell's words that start it.

        Raises:
            SeedTuneError: a name is none that the app takes.
        """
        for name in (self.bundle, self.train, self.run, *([self.eval] if self.eval else [])):
            require_plain(name)
        words = [_service(START, user)]
        for name, option in EXTRAS.items():
            value = getattr(self, name)
            if value is not None:
                words.append(f"{option} {name} {quoted(_spelled(value))}")
        return " ".join(words)


def stop_command(user: int | None = None) -> str:
    """The shell's words that end the run that is made, behind its current step."""
    return _service(STOP, user)


def go_on_command(user: int | None = None) -> str:
    """The shell's words that end a pause; nothing happens to a service that does nothing."""
    return _service(RESUME, user)


def request_of(description: RunDescription, run: str) -> Request:
    """The request that goes on with the run ``run`` on the phone, whose run.json is ``description``."""
    settings = description.settings
    held_out = description.data.eval
    return Request(
        bundle=_last(description.bundle),
        train=_last(description.data.train.path),
        eval=_last(held_out.path) if held_out else None,
        run=run,
        steps=_number(settings, "steps", int),
        batch_size=_number(settings, "batch_size", int),
        estimator=_word(settings, "estimator.kind"),
        optimizer=_word(settings, "optimizer.kind"),
        learning_rate=_number(settings, "optimizer.learning_rate", float),
        momentum=_number(settings, "optimizer.momentum", float),
        seed=_number(settings, "seed", int),
        rows_per_call=_number(settings, "rows_per_call", int),
    )


def _service(action: str, user: int | None) -> str:
    whose = "" if user is None else f"--user {user} "
    return f"am start-foreground-service {whose}-n {SERVICE} -a {action}"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _last(path: str) -> str:
    return require_plain(path.rpartition("/")[2])


def _word(settings: Mapping[str, Any], name: str) -> str | None:
    value = settings.get(name)
    return value if isinstance(value, str) else None


def _number(settings: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = settings.get(name)
    return kind(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
