"""Where a bundle is put: a folder that is new, has room, and appears at once when everything in it is done."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.errors import SeedTuneError

GRAPH_ALLOWANCE_BYTES = 16 << 20


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Refuses an ``out`` that holds anything, except a bundle that may be overwritten.

    Raises:
        SeedTuneError: there is something there.
    """
    if not out.exists():
        return
    is_bundle = (out / MANIFEST).is_file()
    is_empty = out.is_dir() and not any(out.iterdir())
    if is_empty or (overwrite and is_bundle):
        return
    raise SeedTuneError(
        "the output folder already exists",
        file=out,
        rule="a new folder, or with --overwrite a folder that holds a bundle",
        remedy="choose another --out" + (", or add --overwrite" if is_bundle else ""),
    )


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A new folder beside ``out``, so that the finished bundle only has to be renamed; gone when the context ends.

    Raises:
        SeedTuneError: it cannot be made, or a file in it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise SeedTuneError(
            f"the output folder cannot be made ({error.strerror})", file=out, remedy="choose another --out"
        ) from error
    try:
        yield folder
    except OSError as error:
        raise SeedTuneError(
            f"the bundle cannot be written ({error.strerror or error})",
            file=error.filename or out,
            rule=f"room for the bundle on the disk of {out.parent}",
            remedy="free space, choose another --out, or use --storage fp16",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, out: Path) -> None:
    """Puts the finished ``folder`` where ``out`` says, in place of what is there."""
    if out.exists():
        shutil.rmtree(out)
    folder.chmod(0o755)
    folder.rename(out)


def require_space(folder: Path, weights_bytes: int) -> None:
    """Requires room for the weights and the graphs.

    Raises:
        SeedTuneError: the disk of ``folder`` has too little.
    """
    needed = weights_bytes + GRAPH_ALLOWANCE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SeedTuneError(
            "the disk has too little room for the bundle",
            file=folder,
            value=f"{free / 1e6:,.0f} MB free",
            rule=f"{needed / 1e6:,.0f} MB",
            remedy="free space, choose another --out, or use --storage fp16",
        )
