"""Where a bundle is put: a folder that has room, found out before the long work, and filled at once when all is done.

A new folder is made beside its place and renamed. A folder that is there already (empty, or a bundle to replace) is
kept and its contents are exchanged: it may be the working folder of a shell, or a mount point, which cannot be renamed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.errors import SeedTuneError

GRAPH_ALLOWANCE_BYTES = 16 << 20
SUFFIX = ".partial"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def destination(out: Path, overwrite: bool) -> Path:
    """The folder that ``out`` names, with ``~`` and symbolic links resolved, proven to take a bundle. Leaves no trace.

    Raises:
        SeedTuneError: it holds something other than a bundle that may be overwritten, is a file or below one, or
            cannot be written, or its disk is full.
    """
    try:
        place = out.expanduser().resolve()
        _refuse_existing(out, place, overwrite)
        folder = place
        while not folder.is_dir():
            if folder.exists():
                raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file", str(folder))
            folder = folder.parent
        tempfile.TemporaryDirectory(prefix=".", suffix=SUFFIX, dir=folder).cleanup()
    except (OSError, RuntimeError, ValueError) as error:
        # Loops of links and unknown homes are RuntimeErrors, a path with a NUL is a ValueError.
        raise _cannot_be_made(out, error) from error
    require_space(folder, 0)
    return place


def _refuse_existing(out: Path, place: Path, overwrite: bool) -> None:
    if not place.exists():
        return
    is_bundle = (place / MANIFEST).is_file()
    is_empty = place.is_dir() and not any(_contents(place))
    if is_empty or (overwrite and is_bundle):
        return
    raise SeedTuneError(
        "the output folder already exists" if place.is_dir() else "the output folder is a file",
        file=out,
        rule="a new folder, or with --overwrite a folder that holds a bundle",
        remedy="choose another --out" + (", or add --overwrite" if is_bundle else ""),
    )


@contextlib.contextmanager
def staged(place: Path) -> Iterator[Path]:
    """A new folder on the disk of ``place``, to be filled and given to :func:`put`; gone when the context ends.

    Raises:
        SeedTuneError: it cannot be made, or a file in it cannot be written.
    """
    try:
        parent = place if place.is_dir() else place.parent
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".", suffix=SUFFIX, dir=parent))
    except OSError as error:
        raise _cannot_be_made(place, error) from error
    try:
        yield folder
    except OSError as error:
        raise SeedTuneError(
            f"the bundle cannot be written ({error.strerror or error})",
            file=error.filename or place,
            rule=f"room for the bundle on the disk of {parent}",
            remedy="free space, choose another --out, or use --storage fp16"
            if error.errno in NO_ROOM
            else "choose another --out",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put(folder: Path, place: Path) -> None:
    """Makes the finished ``folder`` of :func:`staged` the bundle in ``place``, instead of one that was there.

    Files in ``place`` that belong to neither bundle stay.

    Raises:
        OSError: a file cannot be moved; the bundle that was in ``place`` is then there again.
    """
    if folder.parent != place:
        folder.chmod(0o755)
        # Fails if somebody else has made a folder with content there in the meantime.
        folder.rename(place)
        return
    new = {path.name for path in folder.iterdir()}
    replaced = {path.name for path in _contents(place)} & (new | _listed(place / MANIFEST))
    old = Path(tempfile.mkdtemp(prefix=".", suffix=SUFFIX, dir=place))
    # A folder without a manifest is no bundle: it goes first and comes last.
    moves = [(place / name, old / name) for name in sorted(replaced, key=lambda name: name != MANIFEST)]
    moves += [(folder / name, place / name) for name in sorted(new, key=lambda name: name == MANIFEST)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)


def _listed(manifest: Path) -> set[str]:
    """The files that a manifest of any format names, itself included."""
    try:
        return {MANIFEST, *json.loads(manifest.read_bytes())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {MANIFEST}


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
            rule=f"{needed / 1e6:,.0f} MB" if weights_bytes else f"more than {needed / 1e6:,.0f} MB",
            remedy="free space, choose another --out, or use --storage fp16",
        )


def _contents(folder: Path) -> Iterator[Path]:
    """What ``folder`` holds, without what an export under way or cut off has put there."""
    return (path for path in folder.iterdir() if not (path.name.startswith(".") and path.name.endswith(SUFFIX)))


def _cannot_be_made(out: Path, error: Exception) -> SeedTuneError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SeedTuneError(
        f"the output folder cannot be made ({reason})",
        file=out,
        rule="a path whose nearest existing folder can be written",
        remedy="choose another --out",
    )
