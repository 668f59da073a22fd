"""A RUN folder from the phone, each file verified by its hash, and what the phone says of the app besides."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.names import LOG_TAG, PACKAGE, RUNS
from seedtune.runtime.device.files.listing import list_files, list_folders
from seedtune.runtime.device.files.mirror import Mirror, Taken
from seedtune.runtime.device.files.names import require_plain
from seedtune.runtime.errors import SeedTuneError

BLOCK_BYTES = 1 << 16
BLOCKS = 64
# Folders of a RUN folder that are wanted here; contexts are large, as private as the text, and made again if need be.
FOLDERS = ("states",)
EXTRAS = {
    "exits.txt": f"dumpsys activity exit-info {PACKAGE}",
    "meminfo.txt": f"dumpsys meminfo {PACKAGE}",
    "logcat.txt": f"logcat -d -v time -s {LOG_TAG}",
}
MOST_EXTRA_BLOCKS = 64
_HASH = re.compile(r"([0-9a-f]{64}) [ *](.*)")


@dataclass(frozen=True)
class Pulled:
    """What came: names of files that are new or grew, and those that grew on the phone meanwhile."""

    fresh: tuple[str, ...]
    growing: tuple[str, ...]
    bytes_read: int


def list_runs(access: Access) -> list[str]:
    """Names of the runs on the phone."""
    return list_folders(access, RUNS)


def require_run(access: Access, run: str) -> str:
    """``run`` if the phone has it.

    Raises:
        SeedTuneError: it has not; it names those that there are.
    """
    there = list_runs(access)
    if require_plain(run) not in there:
        raise SeedTuneError(
            "there is no such run on the phone",
            value=run,
            rule=f"one of: {', '.join(there)}" if there else "a run that was started",
            remedy="seedtune device status lists them",
        )
    return run


def pull(access: Access, run: str, mirror: Mirror, progress: Callable[[str, int, int], None] | None = None) -> Pulled:
    """Brings the run ``run`` here: what is missing of each file, checked by hash.

    Raises:
        SeedTuneError: there is no such run, the phone cannot be reached, or a file arrives altered twice.
    """
    require_run(access, run)
    return _Pull(access, f"{RUNS}/{run}", mirror, progress or (lambda *_: None)).all()


class _Pull:
    def __init__(self, access: Access, folder: str, mirror: Mirror, progress: Callable[[str, int, int], None]) -> None:
        self._access, self._folder, self._mirror, self._progress = access, folder, mirror, progress
        self._bytes = 0

    def all(self) -> Pulled:
        fresh, growing = [], []
        for folder in ("", *FOLDERS):
            place = f"{self._folder}/{folder}" if folder else self._folder
            here = Mirror(self._mirror.folder / folder) if folder else self._mirror
            found = {name: file.size_bytes for name, file in list_files(self._access, place).items() if name[0] != "."}
            if not found and folder:
                here.folder.rmdir() if not any(here.folder.iterdir()) else None
            hashes = self._hashes(place, sorted(found))
            for name, size in sorted(found.items()):
                label = f"{folder}/{name}" if folder else name
                if here.size_bytes(name) == size and (size == 0 or here.sha256(name) == hashes.get(name)):
                    continue
                if not self._one(here, place, name, size, hashes.get(name)):
                    growing.append(label)
                fresh.append(label)
        for name, command in EXTRAS.items():
            answer = self._access.phone.patient(f"{command} 2>&1 | dd bs=65536 count={MOST_EXTRA_BLOCKS} 2>/dev/null")
            self._mirror.replace(name, answer.text.encode() + b"\n")
        return Pulled(tuple(fresh), tuple(growing), self._bytes)

    def _hashes(self, place: str, names: list[str]) -> dict[str, str]:
        if not names:
            return {}
        files = " ".join(f"./{name}" if name.startswith("-") else quoted(name) for name in names)
        answer = self._access.shell(f"cd {self._access.path(place)} && sha256sum {files}", silence_seconds=300.0)
        found = (_HASH.fullmatch(line) for line in answer.text.splitlines())
        return {match[2]: match[1] for match in found if match}

    def _one(self, here: Mirror, place: str, name: str, size: int, sha256: str | None) -> bool:
        """Fetches what is missing of a file; whether it is the one that was hashed."""
        for _attempt in (1, 2, 3):
            self._fetch(here, place, name, size)
            if here.size_bytes(name) == size and (size == 0 or here.sha256(name) == sha256):
                return True
            now = list_files(self._access, place).get(name)
            if now is None or now.size_bytes != size:
                # It is written to while we read: what is here is its beginning.
                return False
            here.set_aside(name)
            sha256 = self._hashes(place, [name]).get(name)
        raise SeedTuneError(
            "a file arrives altered",
            file=f"{place}/{name}",
            rule=f"SHA-256 {sha256}",
            remedy="try another cable or port; if it stays so, restart the phone",
        )

    def _fetch(self, here: Mirror, place: str, name: str, size: int) -> None:
        while (done := here.size_bytes(name)) < size:
            block = max(0, done - 1) // BLOCK_BYTES
            script = f"dd if={self._access.path(place, name)} bs={BLOCK_BYTES} skip={block} count={BLOCKS} 2>/dev/null"
            answer = self._access.shell(script)
            # What the file has grown by meanwhile was not hashed.
            data = answer.out[: size - block * BLOCK_BYTES]
            taken = here.take(name, size, block * BLOCK_BYTES, data)
            if taken is Taken.NOTHING_NEW:
                return
            self._bytes += len(data)
            self._progress(name, here.size_bytes(name), size)
        if here.size_bytes(name) > size:
            here.set_aside(name)
            self._fetch(here, place, name, size)
        if size == 0:
            here.replace(name, b"")
