"""The real app behind the stand-in's `am`: its service, as compiled, in a JVM with Robolectric's Android, tuning."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ANDROID = Path(__file__).parents[2] / "android_app"
CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
RUNNER = ("org.junit.runner.JUnitCore", "org.seedtune.app.ServicePhone")
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


@dataclass(frozen=True)
class Built:
    """What Maven made: the APK, the start of a command line that runs its service, and the folder to run it in."""

    apk: Path
    command: list[str]
    folder: Path


def build(folder: Path) -> Built:
    """Builds engine and app in ``folder``, a copy of their sources, as other tests build in their own folder.

    Where that one holds a whole build with its class path (``mvn package`` and the goal CLASSPATH into
    ``target/classpath``), that is taken instead.
    """
    android = ANDROID
    if not _up_to_date(ANDROID):
        android = folder / "android_app"
        shutil.copytree(ANDROID, android, ignore=shutil.ignore_patterns("target"))
        maven = ["mvn", "-B", "-q", "-Dstyle.color=never", "-f", str(android / "pom.xml")]
        (android / "target").mkdir()
        goals = ["package", CLASSPATH, "-DskipTests", f"-Dmdep.outputFile={android / 'target' / 'classpath'}"]
        done = subprocess.run([*maven, *goals], capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    app = android / "app"
    listed = (android / "target" / "classpath").read_text().strip().split(os.pathsep)
    classes = [app / "target" / "test-classes", app / "target" / "classes", android / "engine" / "target" / "classes"]
    tools = [app / "target" / "tools" / f"{name}-classes.jar" for name in ("monitor", "espresso-idling-resource")]
    others = [path for path in listed if not path.startswith(str(android))]
    (apk,) = (app / "target").glob("seedtune*.apk")
    command = ["java", *_surefire(app), "-cp", os.pathsep.join(map(str, [*classes, *others, *tools]))]
    return Built(apk, command, app)


def _up_to_date(android: Path) -> bool:
    made = [android / "target" / "classpath", *(android / "app" / "target").glob("seedtune*.apk")]
    if len(made) < 2 or not made[0].is_file():
        return False
    sources = [*android.glob("*/src/**/*.kt"), *android.glob("*/pom.xml"), *android.glob("tools/*.py")]
    return min(path.stat().st_mtime for path in made) > max(path.stat().st_mtime for path in sources)


def _surefire(app: Path) -> list[str]:
    """The options with which Maven runs the app's own tests."""
    (line,) = ElementTree.parse(app / "pom.xml").iter(f"{NAMESPACE}argLine")
    assert line.text
    options = [option for option in line.text.split() if not option.startswith("-Xmx")]
    robolectric = [f"-Drobolectric.dependency.dir={app / 'target' / 'robolectric'}", "-Drobolectric.offline=true"]
    return ["-Xmx900m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options, *robolectric]


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
            [*self._built.command[:1], f"-Dseedtune.files={self._files}", *self._built.command[1:], *RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._built.folder,
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
