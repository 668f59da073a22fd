"""Commands on one phone: what they print is framed, so that neither noise nor a cut is taken for an answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from seedtune.runtime.device.adb.protocol import LIMIT_BYTES, SILENCE_SECONDS, Adb, DisconnectedError, Output
from seedtune.runtime.device.adb.refusals import given_up, refusal
from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class Answer:
    """What a command on the phone printed, and the status it ended with."""

    status: int
    out: bytes
    errors: bytes

    @property
    def text(self) -> str:
        """Standard output for people."""
        return plain(self.out).strip()

    @property
    def complaint(self) -> str:
        """What it complained of; its last words where standard error is empty."""
        return (plain(self.errors).strip() or self.text)[-500:]


class Phone:
    """One phone.

    Args:
        adb: the program.
        serial: as adb lists it.
    """

    def __init__(self, adb: Adb, serial: str) -> None:
        self.adb = adb
        self.serial = serial

    def shell(
        self,
        script: str,
        *,
        feed: Iterable[bytes] = (),
        silence_seconds: float = SILENCE_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Answer:
        """Runs ``script`` by the phone's shell (mksh, so POSIX; arithmetic has 32 bits there).

        Args:
            script: words of others in it must be :func:`quoted <seedtune.runtime.device.adb.text.quoted>`.
            feed: standard input.
            silence_seconds: see :class:`seedtune.runtime.device.adb.protocol.Adb`.
            limit_bytes: likewise.

        Raises:
            DisconnectedError: no whole answer came back.
            SeedTuneError: adb refuses the phone, or too much was printed.
        """
        # A word that nobody can foresee stands on both sides of the answer.
        word = secrets.token_hex(16)
        framed = f"echo {word}; ( {script}\n); s=$?; echo; echo {word} $s"
        output = self.adb.run(
            ["-s", self.serial, "shell", "-T", framed],
            feed=feed,
            silence_seconds=silence_seconds,
            limit_bytes=limit_bytes + 1024,
        )
        mark = word.encode()
        found = re.search(rb"%b\r?\n(.*)\n%b ([0-9]+)\r?\n" % (mark, mark), output.out, re.DOTALL)
        if found is None:
            raise refusal(output.errors, self.serial)
        body = found[1]
        return Answer(int(found[2]), body, output.errors)

    def asked(self, script: str, what: str, remedy: str, **options: float) -> str:
        """The words that ``script`` prints.

        Raises:
            SeedTuneError: it failed (``what``, with its complaint and ``remedy``), or the phone cannot be reached.
        """
        answer = self.patient(script, **options)
        if answer.status:
            raise SeedTuneError(what, value=answer.complaint, remedy=remedy)
        return answer.text

    def patient(self, script: str, **options: float) -> Answer:
        """:meth:`shell` for somebody who does not wait: a phone that cannot be reached is an error with a remedy."""
        try:
            return self.shell(script, silence_seconds=options.get("silence_seconds", SILENCE_SECONDS))
        except DisconnectedError as error:
            raise given_up(error, self.serial) from error

    def command(self, arguments: list[str], *, silence_seconds: float = SILENCE_SECONDS) -> Output:
        """adb itself with ``arguments`` for this phone, such as ``install``."""
        return self.adb.run(["-s", self.serial, *arguments], silence_seconds=silence_seconds)

    def reconnect(self) -> None:
        """Asks adb to connect again to a phone on the network, which it does not do in time by itself."""
        if re.fullmatch(r"[\w.-]+:[0-9]+", self.serial):
            # "already connected" is also said of a connection that has died and was not noticed.
            self.adb.run(["disconnect", self.serial], silence_seconds=5)
            self.adb.run(["connect", self.serial], silence_seconds=5)
