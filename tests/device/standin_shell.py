"""Commands of the stand-in for a phone: a process of this machine, its output passed on, its end told."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING

from standin_wire import CLOSE_STDIN, EXIT, STDERR, STDIN, STDOUT, ClosedError, Stream

if TYPE_CHECKING:
    from standin_phone import StandIn


def run_shell(phone: StandIn, stream: Stream, script: str, packets: bool) -> None:
    """Runs ``script`` by the phone's shell; in packets of version 2, or as plain bytes."""
    script = phone.translated(script)
    if phone.full_after_bytes is not None:
        # A file that would grow beyond is refused by the kernel in mid-write, as on full storage.
        script = f"trap '' XFSZ; ulimit -f {max(1, phone.full_after_bytes // 512)}; {script}"
    environment = {"PATH": f"{phone.root / 'bin'}:/usr/bin:/bin", "ROOT": str(phone.root), "LC_ALL": "C"}
    process = subprocess.Popen(
        [phone.shell, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=phone.root,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    if phone.garbage:
        stream.packet(STDOUT, phone.garbage.encode("latin-1")) if packets else stream.write(b"?")
    lock = threading.Lock()

    def pass_on(kind: int, file: int) -> None:
        with contextlib.suppress(ClosedError):
            while data := os.read(file, 65536):
                with lock:
                    stream.packet(kind, data) if packets else stream.write(data)

    def feed() -> None:
        assert process.stdin
        with contextlib.suppress(OSError, ClosedError), process.stdin:
            while True:
                if not packets:
                    data = stream.read_some()
                    if not data:
                        return
                    os.write(process.stdin.fileno(), data)
                    continue
                head = stream.read(5)
                data = stream.read(int.from_bytes(head[1:], "little"))
                if head[0] == CLOSE_STDIN:
                    return
                if head[0] == STDIN:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(process.stdin.fileno(), view) :]

    jobs = [
        threading.Thread(target=pass_on, args=(STDOUT, process.stdout.fileno()), daemon=True),
        threading.Thread(target=pass_on, args=(STDERR, process.stderr.fileno()), daemon=True),
    ]
    feeder = threading.Thread(target=feed, daemon=True)
    for job in [*jobs, feeder]:
        job.start()
    while process.poll() is None:
        if stream.closed.wait(0.005):
            # adbd ends what ran for a connection that is gone.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, 9)
            break
    status = process.wait()
    for job in jobs:
        job.join()
    process.stdout.close()
    process.stderr.close()
    if packets:
        stream.packet(EXIT, bytes([status & 0xFF]))
