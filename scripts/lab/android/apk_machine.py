"""An APK's libraries and bytecode, ready to be run by a JVM; made once an APK, and found again by the next call."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from lab.android import bionic, bytecode, tools
from lab.android.tools import ToolError

# A small heap; a phone gives an app 256 to 512 MB. Buffers outside it are bounded by the memory limit.
HEAP = ("-Xmx512m", "-XX:MaxDirectMemorySize=8g")
X86_64 = "x86_64"


class ApkMachine:
    """What of an APK a JVM on this machine needs, in a folder.

    Args:
        apk: an APK with ONNX Runtime, for x86_64 or arm64-v8a.
        folder: where tools and what is made of the APK are kept.

    Raises:
        ToolError: a tool cannot be fetched or failed, or the APK has no libraries.
    """

    def __init__(self, apk: Path, folder: Path) -> None:
        folder = folder.resolve()
        content = apk.read_bytes()
        self.abi = _abi(apk)
        # What is made depends on the APK and on the programs beside this one.
        made_by = b"".join(
            file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.[pc]*")) if file.is_file()
        )
        self._folder = folder / _short(content + made_by)
        self.libraries = self._folder / "libraries"
        # APKs of one build have the same bytecode.
        self.bytecode = folder / f"bytecode-{_short(made_by + _dex(apk))}.jar"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (self._folder / "complete").is_file():
                self._make(apk, tools.install(folder / "tools"))

    def _make(self, apk: Path, programs: Path) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self.libraries.mkdir(parents=True)
        prefix = f"lib/{self.abi}/"
        with zipfile.ZipFile(apk) as opened:
            for name in opened.namelist():
                if name.startswith(prefix):
                    (self.libraries / name.removeprefix(prefix)).write_bytes(opened.read(name))
        bionic.build(self.abi, sorted(self.libraries.glob("*.so")), self.libraries, programs)
        if not self.bytecode.is_file():
            partial = self.bytecode.with_suffix(".partial")
            bytecode.translate(apk, partial, programs)
            partial.replace(self.bytecode)
        (self._folder / "complete").touch()

    def java(self, classpath: Sequence[Path], *, of_the_apk: bool = True) -> list[str]:
        """The start of a command line that runs Java with the APK's libraries; a class and its arguments follow.

        Args:
            classpath: what is looked in besides; with class files of the engine, also those.
            of_the_apk: the APK's own bytecode comes first. Without, ``classpath`` has everything.

        Raises:
            ToolError: the APK is for another kind of processor than this machine's.
        """
        if self.abi != X86_64:
            raise ToolError(f"an APK for {self.abi} runs in lab.android.arm64, not here")
        paths = [self.bytecode, *classpath] if of_the_apk else list(classpath)
        flags = [*HEAP, f"-Donnxruntime.native.path={self.libraries}", *(bytecode.FLAGS if of_the_apk else ())]
        command = ["env", f"LD_LIBRARY_PATH={self.libraries}", "java", *flags, "-cp"]
        return [*command, os.pathsep.join(map(str, paths))]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _dex(apk: Path) -> bytes:
    with zipfile.ZipFile(apk) as opened:
        return b"".join(opened.read(name) for name in sorted(opened.namelist()) if name.endswith(".dex"))


def _abi(apk: Path) -> str:
    with zipfile.ZipFile(apk) as opened:
        kinds = {Path(name).parent.name for name in opened.namelist() if name.endswith(".so")}
    if len(kinds) != 1:
        raise ToolError(f"{apk} has libraries for {', '.join(sorted(kinds)) or 'no processor'}, not for one")
    return kinds.pop()
