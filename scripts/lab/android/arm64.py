"""A JVM for ARM64 on an emulated processor, over the libraries and the bytecode of an APK for phones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from lab import arm64_machine
from lab.android import bytecode
from lab.android.apk_machine import ApkMachine
from lab.android.tools import ToolError

DEBIAN_PACKAGES = ("openjdk-17-jre-headless", "libc6", "libgcc-s1", "libstdc++6", "zlib1g")
JAVA = Path("usr/lib/jvm/java-17-openjdk-arm64")
# The second compiler of the JVM would take longer under emulation than what it compiles.
FLAGS = ("-XX:TieredStopAtLevel=1", "-Xshare:off", "-XX:+UseSerialGC", "-Xmx700m")


class Arm64:
    """The emulated machine.

    Args:
        folder: where it lies or is put.

    Raises:
        UnavailableError: something cannot be fetched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        stamp = self._folder / "complete"
        wanted = "\n".join([*DEBIAN_PACKAGES, Path(arm64_machine.__file__).read_text()])
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not stamp.is_file() or stamp.read_text() != wanted:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                arm64_machine.make_machine(self._folder, DEBIAN_PACKAGES)
                stamp.write_text(wanted)

    def java(self, machine: ApkMachine, classpath: Sequence[Path], *, of_the_apk: bool = True) -> list[str]:
        """As `ApkMachine.java`.

        Raises:
            ToolError: the APK is for another kind of processor.
        """
        if machine.abi != "arm64-v8a":
            raise ToolError(f"an APK for {machine.abi} does not run on ARM64")
        home = self._folder / "root" / JAVA
        # Preloaded, the library is the first with thread-local variables: see bionic.c.
        command = arm64_machine.emulator(
            self._folder,
            LD_LIBRARY_PATH=os.pathsep.join([str(home / "lib"), str(machine.libraries)]),
            LD_PRELOAD=str(machine.libraries / "libc.so"),
        )
        paths = [machine.bytecode, *classpath] if of_the_apk else list(classpath)
        flags = [*FLAGS, f"-Donnxruntime.native.path={machine.libraries}", *(bytecode.FLAGS if of_the_apk else ())]
        return [*command, str(home / "bin" / "java"), *flags, "-cp", os.pathsep.join(map(str, paths))]
