"""An ARM64 processor under user-mode emulation, with a Python and the packages of the runtime for it.

QEMU and an ARM64 Python come from Debian's archive, the packages as wheels from the package index; nothing is installed
into this machine. All of it is kept in a folder that the next session of tests finds again.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import arm64_machine
from lab.arm64_machine import call, emulator, make_machine

ROOT = Path(__file__).parents[2]
DEBIAN_PACKAGES = [
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6"),
    *("zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5"),
]
# What `import seedtune` finds at the top of the package.
FACE = sorted((ROOT / "runtime" / "face").glob("*.py"))
# Of the runtime, without its command line.
WHEELS = [
    *("numpy", "onnxruntime", "flatbuffers", "protobuf", "packaging", "tokenizers", "msgspec", "filelock"),
    *("platformdirs", "rich", "markdown-it-py", "mdurl", "pygments"),
]


class Emulator:
    """ARM64 Python under QEMU.

    Args:
        folder: where everything lies or is put.

    Raises:
        UnavailableError: something cannot be fetched.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / "root"
        self._packages = folder / "packages"
        self._folder = folder
        wanted = self._wanted()
        stamp = folder / "complete"
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._make(folder)
            stamp.write_text(wanted)

    def run(self, script: Path, arguments: Sequence[object], timeout: float) -> subprocess.CompletedProcess[str]:
        """Runs a Python program on the emulated processor, with ``seedtune`` on its path."""
        python = self._root / "usr" / "bin" / "python3.11"
        path = os.pathsep.join([str(self._packages), str(script.parent)])
        command = emulator(
            self._folder, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="", PYTHONHOME=str(self._root / "usr")
        )
        command += [str(python), str(script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def _wanted(self) -> str:
        constraints = (ROOT / "constraints.txt").read_text()
        programs = [Path(file).read_text() for file in (__file__, arm64_machine.__file__)]
        return "\n".join([*map(str, FACE), constraints, *programs])

    def _make(self, folder: Path) -> None:
        make_machine(folder, DEBIAN_PACKAGES)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        install += ["--constraint", str(ROOT / "constraints.txt"), "--python-platform", "aarch64-manylinux_2_28"]
        call([*install, "--python-version", "3.11", "--target", self._packages, *WHEELS])
        package = self._packages / "seedtune"
        package.mkdir()
        for part in (ROOT / "runtime", *FACE):
            (package / part.name).symlink_to(part)
        version = importlib.metadata.version("seedtune")
        information = self._packages / f"seedtune-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: seedtune\nVersion: {version}\n")
