"""An ARM64 processor under user-mode emulation, with programs of Debian's archive; nothing is installed here.

QEMU translates the instructions of one process and hands its system calls to this machine. Its programs see files of
their own folder first, so they find libraries, and a made-up processor where they look for what they run on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

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


def make_machine(folder: Path, packages: Sequence[str]) -> None:
    """Fetches QEMU and ``packages`` for ARM64, and unpacks them into ``folder``.

    Raises:
        UnavailableError: something cannot be fetched.
    """
    root = folder / "root"
    _debian(folder / "apt-host", folder / "host", ["qemu-user-static"], None)
    _debian(folder / "apt-arm64", root, packages, "arm64")
    for usual in ("lib", "bin"):
        # Debian has had one folder for both since it merged /usr; packages may still name the other.
        _merge(root / usual, root / "usr" / usual)
    _keep_links_inside(root)
    processors = root / "sys" / "devices" / "system" / "cpu"
    for file, content in (
        (root / "proc" / "cpuinfo", PROCESSOR_INFORMATION),
        (processors / "possible", "0\n"),
        (processors / "present", "0\n"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def emulator(folder: Path, **environment: str) -> list[str]:
    """The start of a command line: what follows is a program of ``folder / "root"`` and its arguments."""
    command = [str(folder / "host" / "usr" / "bin" / "qemu-aarch64-static"), "-L", str(folder / "root")]
    return [*command, *(part for name, value in environment.items() for part in ("-E", f"{name}={value}"))]


def call(command: Sequence[object], folder: Path | None = None) -> None:
    """Runs a program that fetches or unpacks.

    Raises:
        UnavailableError: it failed; the message has what it said.
    """
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise UnavailableError(f"{command[0]} failed: {done.stderr.strip()[-600:]}")


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
    call([*apt, "update"])
    call([*apt, "download", *packages], state)
    for package in state.glob("*.deb"):
        call(["dpkg-deb", "--extract", package, into])
    shutil.rmtree(state)


def _merge(extra: Path, into: Path) -> None:
    if extra.is_dir() and not extra.is_symlink():
        shutil.copytree(extra, into, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(extra)
    extra.symlink_to(into.relative_to(extra.parent))


def _keep_links_inside(root: Path) -> None:
    """Links to absolute places, which would lead to this machine's files, lead to those of ``root``."""
    for link in [path for path in root.rglob("*") if path.is_symlink()]:
        target = os.readlink(link)
        if target.startswith("/") and os.path.lexists(root / target[1:]):
            link.unlink()
            link.symlink_to(os.path.relpath(root / target[1:], link.parent))
