"""adb as a program of its own: started for each call, fed and read at once, never trusted to end or to be brief."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from seedtune.runtime.device.adb.find import find_adb
from seedtune.runtime.device.adb.protocol import LIMIT_BYTES, SILENCE_SECONDS, DisconnectedError, Output
from seedtune.runtime.errors import SeedTuneError

_CHUNK_BYTES = 1 << 16


class CommandLineAdb:
    """Runs an adb program.

    Args:
        program: where it is; found if not given.
        environment: of the program, besides this process's own, such as ``ANDROID_ADB_SERVER_PORT``.

    Raises:
        SeedTuneError: there is no adb.
    """

    def __init__(self, program: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.program = program or find_adb()
        self._environment = {**os.environ, **(environment or {})}

    def run(
        self,
        arguments: list[str],
        *,
        feed: Iterable[bytes] = (),
        silence_seconds: float = SILENCE_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
    ) -> Output:
        """See :class:`seedtune.runtime.device.adb.protocol.Adb`."""
        try:
            process = subprocess.Popen(
                [str(self.program), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
            )
        except OSError as error:
            raise SeedTuneError(
                f"adb cannot be run ({error.strerror})", file=self.program, remedy="install Android's platform-tools"
            ) from error
        with _Exchange(process, feed) as exchange:
            out = exchange.read(silence_seconds, limit_bytes)
            return Output(process.wait(), out, bytes(exchange.errors))


class _Exchange:
    """Feeds a process and reads it, in threads; leaving ends the process if it goes on."""

    def __init__(self, process: subprocess.Popen[bytes], feed: Iterable[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self._moved_at = time.monotonic()
        self._chunks: queue.Queue[bytes | None] = queue.Queue(maxsize=64)
        self._left = threading.Event()
        self._failure: BaseException | None = None
        self.errors = bytearray()
        jobs = (
            threading.Thread(target=self._write, args=(process.stdin, feed), daemon=True),
            threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True),
            threading.Thread(target=self._read_out, args=(process.stdout,), daemon=True),
        )
        for job in jobs:
            job.start()
        self._jobs = jobs

    def read(self, silence_seconds: float, limit_bytes: int) -> bytes:
        """Standard output, to its end."""
        out = bytearray()
        while True:
            try:
                chunk = self._chunks.get(timeout=min(1.0, silence_seconds))
            except queue.Empty:
                if time.monotonic() - self._moved_at > silence_seconds:
                    raise DisconnectedError(f"adb said nothing for {silence_seconds:.0f} s") from None
                continue
            if chunk is None:
                break
            out += chunk
            if len(out) > limit_bytes:
                raise SeedTuneError(
                    "the phone printed more than was asked for",
                    value=f"more than {limit_bytes:,} bytes, beginning with {bytes(out[:40])!r}",
                    rule=f"at most {limit_bytes:,} bytes",
                    remedy="run it again; if it happens again, restart the phone",
                )
        self._jobs[1].join()
        if self._failure is not None:
            raise self._failure
        return bytes(out)

    def _write(self, stdin: IO[bytes], feed: Iterable[bytes]) -> None:
        try:
            with stdin:
                for chunk in feed:
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(stdin.fileno(), view) :]
                        self._moved_at = time.monotonic()
        except OSError:
            # The process ended, or does not want more: its status and its words say why.
            pass
        except BaseException as error:  # noqa: BLE001 what the feed raises is raised where the call was made
            self._failure = error
            self._process.kill()

    def _read_out(self, stdout: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stdout.fileno(), _CHUNK_BYTES):
                self._moved_at = time.monotonic()
                while not self._left.is_set():
                    with contextlib.suppress(queue.Full):
                        self._chunks.put(chunk, timeout=0.2)
                        break
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._chunks.put(None, timeout=0.2)
                break

    def _read_errors(self, stderr: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stderr.fileno(), _CHUNK_BYTES):
                self.errors += chunk[: max(0, _CHUNK_BYTES - len(self.errors))]

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._process.poll() is None:
            try:
                # It closed its output; whoever left early does not wait.
                self._process.wait(timeout=5 if _[0] is None else 0)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        for job in self._jobs:
            job.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
