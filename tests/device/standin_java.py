"""The installed app behind the stand-in's `am`: the service out of the APK's own bytecode, tuning with its libraries.

A JVM with Robolectric's Android runs it. What Robolectric stands in for is the framework; the engine and ONNX Runtime
are those of the APK for x86_64 (lab.android).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.android.apk_machine import ApkMachine
from lab.android.command import ANDROID, kept_folder

APP = ANDROID / "app"
TARGET = APP / "target"
APK = TARGET / "seedtune-x86_64.apk"
RUNNER = ("org.junit.runner.JUnitCore", "org.seedtune.app.ServicePhone")
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


@dataclass(frozen=True)
class Built:
    """What Maven made: the APK, and the start of a command line that runs its service in the app's folder."""

    apk: Path
    command: list[str]


def build() -> Built | None:
    """Builds engine and app, unless what is built is newer than they; None without ONNX Runtime for Android."""
    if not _up_to_date():
        maven = ["mvn", "-B", "-q", "-Dstyle.color=never", "-f", str(ANDROID / "pom.xml"), "package", "-DskipTests"]
        done = subprocess.run(maven, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    if not APK.is_file():
        return None
    tools = [TARGET / "tools" / f"{name}-classes.jar" for name in ("monitor", "espresso-idling-resource")]
    others = [Path(path) for path in (TARGET / "classpath").read_text().strip().split(os.pathsep)]
    # What the APK has comes from there, as it comes first.
    start = ApkMachine(APK, kept_folder()).java([TARGET / "test-classes", *others, *tools])
    place = start.index("java") + 1
    return Built(APK, [*start[:place], *_surefire(), *start[place:]])


def _up_to_date() -> bool:
    if not APK.is_file():
        return False
    sources = [*ANDROID.glob("*/src/**/*.kt"), *ANDROID.glob("*/pom.xml"), *ANDROID.glob("tools/*.py")]
    return APK.stat().st_mtime > max(path.stat().st_mtime for path in sources)


def _surefire() -> list[str]:
    """The options with which Maven runs the app's own tests."""
    (line,) = ElementTree.parse(APP / "pom.xml").iter(f"{NAMESPACE}argLine")
    assert line.text
    options = [option for option in line.text.split() if not option.startswith("-Xmx")]
    robolectric = [f"-Drobolectric.dependency.dir={TARGET / 'robolectric'}", "-Drobolectric.offline=true"]
    # A process that lives for seconds: what the second compiler would gain it never earns back.
    return ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options, *robolectric]


class JavaApp:
    """The app on the phone.

    Args:
        built: what runs its service.
        files: its folder.
        changed: called when its process came or went.
        log: takes its error lines, as logcat would have them.
    """

    def __init__(self, built: Built, files: Path, changed: Callable[[], None], log: list[str]) -> None:
        self._built, self._files, self._changed, self._log = built, files, changed, log
        self._process: subprocess.Popen[str] | None = None
        self._last: list[object] | None = None
        self.said: list[str] = []
        self.pid: int | None = None

    def told(self, action: str, extras: dict[str, str]) -> None:
        words: list[object] = [action]
        words += [[*name.split(" ", 1), value] for name, value in extras.items()]
        if self._process is None or self._process.poll() is not None:
            if not action.endswith(".START"):
                return
            self._start()
        if action.endswith(".START"):
            self._last = words
        self._tell(words)

    def again(self) -> None:
        """The system starts the service again, with the Intent that it was started with."""
        assert self._last
        self._start()
        self._tell(self._last)
        self._changed()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.pid = None

    def _tell(self, words: list[object]) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [*self._built.command, f"-Dseedtune.files={self._files}", *RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=APP,
        )
        self.pid = self._process.pid
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            self.said.append(line.rstrip("\n"))
            if error := re.match(r"E/SeedTune: (.*)", line):
                self._log.append(f"01-31 12:00:00.000 E/SeedTune({process.pid}): {error[1]}")
        process.wait()
        if self._process is process:
            self.pid = None
            self._changed()
