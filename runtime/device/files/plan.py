"""What is to be on the phone: the files of a bundle, rows, and contexts, each with its size and hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.device.app.names import BUNDLES, CONTEXTS, DATA
from seedtune.runtime.device.files.names import require_plain
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of

CACHE_ENDING = ".contexts"
ROWS_ENDING = ".jsonl"


@dataclass(frozen=True)
class Sent:
    """One file that the phone is to have.

    Attributes:
        source: where it is here.
        folder: the folder on the phone, in the app's own.
        name: its name there.
        size_bytes, sha256: its content.
    """

    source: Path
    folder: str
    name: str
    size_bytes: int
    sha256: str

    @property
    def place(self) -> str:
        """``folder/name``."""
        return f"{self.folder}/{self.name}"


def bundle_files(folder: Path, name: str | None = None, *, without_host_files: bool = False) -> list[Sent]:
    """The files of a bundle, the manifest last: who sees it finds the others.

    Args:
        folder: the bundle, which is verified.
        name: what it is called on the phone; that of the folder if not given.
        without_host_files: leave out what only the computing of contexts reads.

    Raises:
        SeedTuneError: it is no sound bundle, or the name is none.
    """
    bundle = Bundle.open(folder)
    place = f"{BUNDLES}/{require_plain(folder.resolve().name if name is None else name)}"
    left_out = set(bundle.manifest.host_files) if without_host_files or not bundle.computes_contexts else set()
    sent = [
        Sent(folder / file, place, require_plain(file), entry.size_bytes, entry.sha256)
        for file, entry in sorted(bundle.manifest.files.items(), key=lambda item: item[1].size_bytes)
        if file not in left_out
    ]
    manifest = folder / MANIFEST
    return [*sent, Sent(manifest, place, MANIFEST, manifest.stat().st_size, bundle.sha256)]


def data_files(paths: Sequence[Path]) -> list[Sent]:
    """Files of rows.

    Raises:
        SeedTuneError: one is missing, or no JSON lines, which are all that the app reads.
    """
    for path in paths:
        if path.suffix != ROWS_ENDING:
            raise SeedTuneError(
                "the app reads JSON lines only",
                file=path,
                value=path.suffix,
                rule=f"a file {ROWS_ENDING} of one object a line",
                remedy='write each row as a line of JSON, such as {"text": "...", "label": "1"}',
            )
    return [_sent(path, DATA) for path in paths]


def context_files(folder: Path) -> list[Sent]:
    """The caches that `seedtune cache` wrote into ``folder``.

    Raises:
        SeedTuneError: there are none.
    """
    found = sorted(folder.glob(f"*{CACHE_ENDING}"))
    if not found:
        raise SeedTuneError(
            "there are no contexts in this folder",
            file=folder,
            rule=f"files *{CACHE_ENDING}",
            remedy=f"make them: seedtune cache BUNDLE --data ROWS --out {folder}",
        )
    return [_sent(path, CONTEXTS) for path in found]


def _sent(path: Path, folder: str) -> Sent:
    if not path.is_file():
        raise SeedTuneError("there is no such file", file=path, remedy="give a file that is there")
    return Sent(path, folder, require_plain(path.name), path.stat().st_size, sha256_of(path))
