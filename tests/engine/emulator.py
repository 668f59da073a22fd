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
# onnxruntime looks processors up here and ends the process if it finds fewer than there should be; QEMU shows this
# machine's. The figures are a Cortex-A78's, without the 8-bit matrix products of newer processors.
PROCESSOR_INFORMATION = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd41
CPU revision\t: 1
"""


class UnavailableError(Exception):
    """The emulator or what runs in it cannot be had on this machine."""


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
        self._qemu = folder / "host" / "usr" / "bin" / "qemu-aarch64-static"
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
        command = [self._qemu, "-L", self._root, "-E", f"PYTHONPATH={path}", "-E", "PYTHONDONTWRITEBYTECODE="]
        command += ["-E", f"PYTHONHOME={self._root / 'usr'}", python, script, *arguments]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False)

    def _wanted(self) -> str:
        constraints = (ROOT / "constraints.txt").read_text()
        return "\n".join([*map(str, FACE), constraints, Path(__file__).read_text()])

    def _make(self, folder: Path) -> None:
        _debian(folder / "apt-host", folder / "host", ["qemu-user-static"], None)
        _debian(folder / "apt-arm64", self._root, DEBIAN_PACKAGES, "arm64")
        for usual in ("lib", "bin"):
            # Debian has had one folder for both since it merged /usr; packages may still name the other.
            _merge(self._root / usual, self._root / "usr" / usual)
        processors = self._root / "sys" / "devices" / "system" / "cpu"
        for file, content in (
            (self._root / "proc" / "cpuinfo", PROCESSOR_INFORMATION),
            (processors / "possible", "0\n"),
            (processors / "present", "0\n"),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        install += ["--constraint", str(ROOT / "constraints.txt"), "--python-platform", "aarch64-manylinux_2_28"]
        _call([*install, "--python-version", "3.11", "--target", self._packages, *WHEELS])
        package = self._packages / "seedtune"
        package.mkdir()
        for part in (ROOT / "runtime", *FACE):
            (package / part.name).symlink_to(part)
        version = importlib.metadata.version("seedtune")
        information = self._packages / f"seedtune-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: seedtune\nVersion: {version}\n")


def _merge(extra: Path, into: Path) -> None:
    if extra.is_dir() and not extra.is_symlink():
        shutil.copytree(extra, into, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(extra)
    extra.symlink_to(into.relative_to(extra.parent))


def _debian(state: Path, into: Path, packages: Sequence[str], architecture: str | None) -> None:
    """Unpacks Debian packages into a folder, with an apt of its own that knows nothing of this machine's packages."""
    if shutil.which("apt-get") is None:
        raise UnavailableError("apt-get is not installed")
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    options = [f"Dir::State={state}", f"Dir::State::status={state / 'status'}", f"Dir::State::Lists={state / 'lists'}"]
    options += [f"Dir::Cache={state / 'cache'}", "Acquire::Languages=none", "Acquire::Retries=3"]
    if architecture:
        options += [f"APT::Architecture={architecture}", f"APT::Architectures={architecture}"]
    apt = ["apt-get", "-q", *(part for option in options for part in ("-o", option))]
    _call([*apt, "update"])
    _call([*apt, "download", *packages], state)
    for package in state.glob("*.deb"):
        _call(["dpkg-deb", "--extract", package, into])
    shutil.rmtree(state)


def _call(command: Sequence[object], folder: Path | None = None) -> None:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise UnavailableError(f"{command[0]} failed: {done.stderr.strip()[-600:]}")
