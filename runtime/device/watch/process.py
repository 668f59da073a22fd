"""What becomes of the app's process: found dead, started again, on a phone that was switched off and on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.watch.poll import SOURCES, Look
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.events import Event, Notice


class Process:
    """Watches the app's process over the looks.

    Args:
        run: the name of the run, for what is said.
        gone_seconds: how long there may be no process before the run counts as ended.
        start_seconds: how long the run's folder may not be there.
        clock: seconds from any start, rising.
        log_before: what :func:`read_log` said before the run was started; what is there at the first look if not given.
    """

    def __init__(
        self,
        run: str,
        gone_seconds: float,
        start_seconds: float,
        clock: Callable[[], float],
        log_before: str | None = None,
    ) -> None:
        self._run, self._gone_seconds, self._start_seconds, self._clock = run, gone_seconds, start_seconds, clock
        self._began = clock()
        self._boot = ""
        self._pid: int | None = None
        self._gone_since: float | None = None
        self._log = log_before
        self._exits = ""
        self._asks_exits = False
        self._looks = 0

    def questions(self) -> list[str]:
        """Sources to ask at the next look."""
        self._looks += 1
        waiting = self._log is None or self._pid is None or self._looks % 10 == 0
        return (["log"] if waiting else []) + (["exits"] if self._asks_exits else [])

    def seen(self, look: Look, last_step: int) -> Iterator[Event]:
        """What a look says of the process.

        Raises:
            SeedTuneError: the run did not begin, or its process is gone for too long.
        """
        fresh_log = self._fresh_log(look)
        if fresh_log:
            yield Notice(f"the app says: {fresh_log}")
        if self._boot and look.boot != self._boot:
            yield Notice(f"the phone was restarted; go on with: seedtune device resume {self._run}")
            self._pid = None
        self._boot = look.boot
        yield from self._process(look)
        waited = self._clock() - self._began
        if not look.present and (waited > self._start_seconds or fresh_log):
            raise SeedTuneError(
                "the run did not begin",
                value=fresh_log or f"no folder {self._run} after {waited:.0f} s",
                rule="a run of the app",
                remedy="does the phone make another run? seedtune device status, stop; else: seedtune device doctor",
            )
        if self._gone_since is not None and self._clock() - self._gone_since > self._gone_seconds:
            raise SeedTuneError(
                f"the app has had no process since step {max(last_step, 0)}, for {self._gone_seconds:.0f} s",
                value=self._exits or None,
                rule="the system starts it again by itself, but not after a restart of the phone or a forced stop",
                remedy=f"go on with: seedtune device resume {self._run}",
            )

    def _process(self, look: Look) -> Iterator[Event]:
        if "exits" in look.samples:
            self._asks_exits = False
            self._exits = last_exit(look.samples["exits"][1])
            if self._exits:
                yield Notice(f"the app's process had ended: {self._exits}")
        if look.pid is None:
            if self._gone_since is None:
                self._gone_since = self._clock()
            if self._pid is not None:
                yield Notice(
                    "the app's process is gone; the system starts it again, and the run goes on from its journal"
                )
                self._asks_exits = True
        else:
            if self._pid is not None and look.pid != self._pid:
                yield Notice("the app's process was another before: the run goes on from its journal")
                self._asks_exits = True
            self._gone_since = None
        self._pid = look.pid

    def _fresh_log(self, look: Look) -> str:
        """Error lines of the app since the last look; what was there at first is of earlier runs."""
        if "log" not in look.samples:
            return ""
        before, self._log = self._log, _lines(look.samples["log"][1])
        if before is None or self._log == before:
            return ""
        return self._log.removeprefix(before).strip()[-500:]


def read_log(access: Access) -> str:
    """The app's error lines so far.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    return _lines(access.phone.patient(SOURCES["log"]).text)


def _lines(text: str) -> str:
    # logcat begins with a line about its buffers.
    return "\n".join(line for line in plain(text).splitlines() if not line.startswith("-----")).strip()


def last_exit(text: str) -> str:
    """The newest entry of ``dumpsys activity exit-info`` (Android 11 and later) in a few words; empty without one."""
    for line in plain(text).splitlines():
        _, mark, rest = line.partition("reason=")
        if mark:
            # "reason=3 (LOW_MEMORY) subreason=0 (UNKNOWN) status=0"
            return rest.split(" subreason=")[0].strip()
    return ""
