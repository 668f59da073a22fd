"""What to tune, as the extras of an Intent: `Request.kt` from the desk's side."""

from __future__ import annotations

import msgspec

from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.names import EXTRAS, RESUME, SERVICE, START, STOP
from seedtune.runtime.device.files.names import require_plain


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


def resume_command(run: str, user: int | None = None) -> str:
    """The shell's words that go on with a run as it was begun, which its folder on the phone tells the app.

    Raises:
        SeedTuneError: ``run`` is no name that the app takes.
    """
    return f"{_service(START, user)} {EXTRAS['run']} run {quoted(require_plain(run))}"


def _service(action: str, user: int | None) -> str:
    whose = "" if user is None else f"--user {user} "
    return f"am start-foreground-service {whose}-n {SERVICE} -a {action}"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
