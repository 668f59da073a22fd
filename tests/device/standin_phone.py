"""A stand-in for a phone: it speaks adb's protocol over TCP to the real adb, and has a file system, a shell, and an
app.

Its shell is mksh with toybox's commands where these are installed, as on Android, else this machine's own. Paths of a
phone are turned into those of a folder here. ``getprop``, ``pm``, ``am``, ``dumpsys``, ``run-as`` and the like are
small programs of its own. What tunes behind ``am start-foreground-service`` is given (:class:`App`).
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from standin_shell import run_shell
from standin_sync import serve_sync
from standin_wire import Stream, Wire

PACKAGE = "org.seedtune.app"
TOOLS = Path(__file__).parent / "standin_tools"
# Longest first, as one is the beginning of another.
ROOTS = ("/storage/emulated/0", "/sdcard", "/data")
IN_PATH = re.compile(r"(?<![\w/.-])(/storage/emulated/0|/sdcard|/data|/proc/sys/kernel/random/boot_id)(?=[/\s'\";)]|$)")
APPLETS = "cat dd stat tail head sha256sum mkdir mv rm rmdir ls find sync date grep cut wc sleep chmod touch tr sort"


class App(Protocol):
    """What the installed app does; paths are those of this machine."""

    pid: int | None

    def told(self, action: str, extras: dict[str, str]) -> None: ...

    def kill(self) -> None: ...


class StandIn:
    """The phone. ``with StandIn(folder) as phone: ...`` switches it on at ``phone.serial``."""

    def __init__(self, folder: Path, shell: str | None = None) -> None:
        self.root = folder
        self.app: App | None = None
        self.log: list[str] = []  # of the app, as in logcat
        self.heard: list[str] = []  # every service that was asked for
        self.properties = {
            "ro.product.manufacturer": "SeedTune",
            "ro.product.model": "Stand-in",
            "ro.build.version.release": "14",
            "ro.build.version.sdk": "34",
            "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
            "sys.boot_completed": "1",
        }
        self.authorised = True
        self.garbage = ""  # printed before every answer of the shell
        self.bytes_a_second = 0
        self.full_after_bytes: int | None = None
        self.most_free_bytes = 64 << 30
        self.install_answer: str | None = None
        self.dumpsys: dict[str, str] = {}
        self.exempt = False
        self.user = 0  # the profile that the app is installed for
        self._installed_signer = ""
        self.shell = shell or shutil.which("mksh") or "/bin/sh"
        self._wires: list[Wire] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.cuts = 0
        self._make_files()

    # -- switching on and off

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def files(self) -> Path:
        """The app's folder on shared storage."""
        return self.root / "sdcard" / "Android" / "data" / PACKAGE / "files"

    def __enter__(self) -> StandIn:
        self.switch_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.switch_off()
        if self.app:
            self.app.kill()

    def switch_on(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def switch_off(self) -> None:
        """The cable is pulled, and stays out."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def cut(self) -> None:
        """The cable is pulled, and put back at once."""
        self.cuts += 1
        wires, self._wires = self._wires, []
        for wire in wires:
            wire.cut()

    def reboot(self, off_seconds: float = 0.5) -> None:
        self.switch_off()
        if self.app:
            self.app.kill()
        self._new_boot()
        time.sleep(off_seconds)
        self.switch_on()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            banner = "device::ro.product.name=standin;ro.product.model=Stand-in;ro.product.device=standin;"
            banner += "features=shell_v2,cmd"
            wire = Wire(connection, banner.encode(), self.serve, self.authorised, self.bytes_a_second)
            self._wires.append(wire)
            threading.Thread(target=wire.run, daemon=True).start()

    # -- services

    def serve(self, stream: Stream, service: str) -> None:
        """One service of the phone's adbd."""
        self.heard.append(service)
        kind, _, rest = service.partition(":")
        if kind == "sync":
            serve_sync(stream, self.place)
        elif kind.startswith("shell"):
            run_shell(self, stream, rest, packets=kind.startswith("shell,v2"))
        elif kind == "exec" and re.match(r"(cmd )?package '?install|pm install|cmd package install", rest):
            self._install(stream, rest)
        elif kind == "exec":
            run_shell(self, stream, rest, packets=False)
        elif kind == "reboot":
            threading.Thread(target=self.reboot, daemon=True).start()

    def place(self, path: str) -> Path:
        """Where a path of the phone is here."""
        return Path(self.translated(path))

    def translated(self, text: str) -> str:
        def turn(found: re.Match[str]) -> str:
            path = found[1].replace("/storage/emulated/0", "/sdcard").replace("/proc/sys/kernel/random", "/proc")
            return str(self.root) + path

        return IN_PATH.sub(turn, text)

    # -- files and programs

    def _make_files(self) -> None:
        for folder in (
            "sdcard/Download",
            "data/local/tmp",
            f"data/data/{PACKAGE}/files",
            "proc",
            "bin",
            "pids",
            "props",
        ):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._new_boot()
        toybox = shutil.which("toybox")
        listed = (
            subprocess.run(["toybox"], capture_output=True, text=True, check=False).stdout.split() if toybox else []
        )
        for name in APPLETS.split():
            program = toybox if toybox and name in listed else shutil.which(name)
            if program:
                (self.root / "bin" / name).symlink_to(program)
        for tool in ("getprop", "pidof", "df", "run-as"):
            self._program(tool, (TOOLS / f"{tool}.sh").read_text())
        for tool in ("pm", "am", "cmd", "dumpsys", "logcat"):
            self._program(
                tool, f'#!/bin/sh\nexec {sys.executable} -I -S {TOOLS / "ask.py"} "$ROOT/asked" {tool} "$@"\n'
            )
        self._asked = socket.socket(socket.AF_UNIX)
        # The name of a socket may have about a hundred characters.
        here = Path("/tmp") / f"standin-{secrets.token_hex(6)}"
        self._asked.bind(str(here))
        (self.root / "asked").symlink_to(here)
        self._asked.listen()
        threading.Thread(target=self._answer_tools, daemon=True).start()

    def _program(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def _new_boot(self) -> None:
        boot = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4000-8000-{secrets.token_hex(6)}"
        (self.root / "proc" / "boot_id").write_text(boot + "\n")

    def _answer_tools(self) -> None:
        from standin_commands import answer

        while True:
            connection, _ = self._asked.accept()
            threading.Thread(target=answer, args=(self, connection), daemon=True).start()

    def publish(self) -> None:
        """Writes what the shell's own small programs read: properties, free storage, the pid of the app."""
        for name, value in self.properties.items():
            (self.root / "props" / name).write_text(value + "\n")
        (self.root / "free_kilobytes").write_text(str(self.most_free_bytes >> 10))
        pid = self.app.pid if self.app else None
        file = self.root / "pids" / PACKAGE
        file.write_text(f"{pid}\n") if pid else file.unlink(missing_ok=True)

    @property
    def installed(self) -> bool:
        return (self.root / "data" / "app" / "base.apk").is_file()

    def _install(self, stream: Stream, command: str) -> None:
        from standin_commands import installed

        size = int((re.search(r"-S '?(\d+)", command) or ["", "0"])[1])
        apk = stream.read(size)
        stream.write((installed(self, apk) + "\n").encode())


def close_shared_storage(phone: StandIn) -> None:
    """Shared storage is away, as on a phone whose maker closed it to adb's shell."""
    shared = phone.root / "sdcard"
    shared.rename(phone.root / "away")
    shared.symlink_to("/proc/nothing")
