"""Files to the phone: only what changed, on from where a cut left off, verified by the phone's own hash.

A file grows under a hidden name that holds its hash, written at its place rather than appended, so that what a broken
connection still had in flight can do no harm. It gets its name when the phone's SHA-256 is the right one. What was
verified is noted on the phone with size and time, so that the next push need not hash it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seedtune.runtime.device.adb.phone import Answer
from seedtune.runtime.device.adb.protocol import DisconnectedError
from seedtune.runtime.device.adb.refusals import given_up
from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.names import SPARE_STORAGE_BYTES
from seedtune.runtime.device.files.listing import Found, hash_of, list_files, require_storage
from seedtune.runtime.device.files.plan import Sent
from seedtune.runtime.errors import SeedTuneError

BLOCK_BYTES = 1 << 16
NOTES = ".seedtune-pushed.json"
PATIENCE_SECONDS = 120.0
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pushed:
    """What a push came to: places that were sent, places that were there, bytes that went over the cable."""

    sent: tuple[str, ...]
    unchanged: tuple[str, ...]
    sent_bytes: int
    resumed_bytes: int


class _Note(msgspec.Struct, frozen=True):
    sha256: str
    size_bytes: int
    written_seconds: int


def push(
    access: Access, files: Sequence[Sent], progress: Progress | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> Pushed:
    """Brings ``files`` onto the phone, in their order.

    Args:
        access: the app's folder.
        files: what is to be there.
        progress: told the place, its bytes on the phone, and its size.
        patience_seconds: how long a phone that cannot be reached is waited for.

    Raises:
        SeedTuneError: too little storage (before anything is sent), a file that the phone does not take or that arrives
            altered, or a phone that stays away. What had arrived stays, and the next push goes on from there.
    """
    return _Push(access, progress or (lambda *_: None), patience_seconds).all(files)


class _Push:
    def __init__(self, access: Access, progress: Progress, patience_seconds: float) -> None:
        self._access, self._progress, self._patience_seconds = access, progress, patience_seconds
        self._sent_bytes = self._resumed_bytes = 0

    def all(self, files: Sequence[Sent]) -> Pushed:
        folders = sorted({file.folder for file in files})
        there = {folder: list_files(self._access, folder) for folder in folders}
        notes = self._notes()
        waiting: list[Sent] = []
        unchanged: list[Sent] = []
        for file in files:
            found = there[file.folder].get(file.name)
            same = found is not None and self._same(file, found, notes.get(file.place))
            (unchanged if same else waiting).append(file)
            if same and found:
                notes[file.place] = _Note(file.sha256, found.size_bytes, found.written_seconds)
        rest = sum(file.size_bytes - self._there(file, there) for file in waiting)
        require_storage(self._access, rest, SPARE_STORAGE_BYTES, "this push")
        self._prepare(folders, there, waiting)
        for file in waiting:
            self._one(file)
            written = list_files(self._access, file.folder).get(file.name)
            if written:
                notes[file.place] = _Note(file.sha256, written.size_bytes, written.written_seconds)
        self._note(notes)
        return Pushed(
            tuple(file.place for file in waiting),
            tuple(file.place for file in unchanged),
            self._sent_bytes,
            self._resumed_bytes,
        )

    def _same(self, file: Sent, found: Found, note: _Note | None) -> bool:
        if found.size_bytes != file.size_bytes:
            return False
        if note == _Note(file.sha256, found.size_bytes, found.written_seconds):
            return True
        return hash_of(self._access, file.place, file.size_bytes) == file.sha256

    def _there(self, file: Sent, there: dict[str, dict[str, Found]]) -> int:
        found = there[file.folder].get(_partial(file))
        return min(found.size_bytes, file.size_bytes) if found else 0

    def _prepare(self, folders: list[str], there: dict[str, dict[str, Found]], waiting: list[Sent]) -> None:
        """Makes the folders, and takes away what stands in the way: beginnings of other contents, and old manifests."""
        wanted = {(file.folder, _partial(file)) for file in waiting}
        old = [f"{folder}/{name}" for folder in folders for name in there[folder]]
        old = [place for place in old if place.rpartition("/")[2].startswith(".part-")]
        gone = [place for place in old if tuple(place.rsplit("/", 1)) not in wanted]
        # A bundle whose other files are about to change is none until the new manifest, the last file, is there.
        gone += [file.place for file in waiting if file.name in there[file.folder]]
        script = "mkdir -p " + " ".join(self._access.path(folder) for folder in folders)
        if gone:
            script += " && rm -f " + " ".join(self._access.path(place) for place in gone)
        answer = self._access.shell(script)
        if answer.status:
            raise SeedTuneError(
                "the phone does not let its folders be written",
                value=answer.complaint,
                remedy="seedtune device doctor; reinstalling the app makes its folders anew",
            )

    def _one(self, file: Sent) -> None:
        for attempt in (1, 2):
            self._transfer(file)
            place = f"{file.folder}/{_partial(file)}"
            if hash_of(self._access, place, file.size_bytes) == file.sha256:
                moved = self._access.shell(f"mv -f {self._access.path(place)} {self._access.path(file.place)}")
                if moved.status:
                    raise SeedTuneError("a file cannot be renamed on the phone", file=file.place, value=moved.complaint)
                return
            self._access.shell(f"rm -f {self._access.path(place)}")
            if attempt == 2:
                raise SeedTuneError(
                    "a file arrived altered, twice",
                    file=file.source,
                    rule=f"SHA-256 {file.sha256}",
                    remedy="does something write to it here? If not, try another cable or port",
                )

    def _transfer(self, file: Sent) -> None:
        """Sends what is missing of ``file``, on and on over broken connections."""
        place = f"{file.folder}/{_partial(file)}"
        waited_since: float | None = None
        first, before = True, -1
        while True:
            try:
                found = list_files(self._access, file.folder).get(_partial(file))
                there = found.size_bytes if found else 0
                block = min(there, file.size_bytes) // BLOCK_BYTES
                if there >= file.size_bytes and there > 0:
                    return
                if there == before:
                    raise SeedTuneError(
                        "the phone takes the bytes and does not keep them",
                        file=file.source,
                        value=f"{there:,} of {file.size_bytes:,} bytes",
                        remedy="restart the phone, and push again",
                    )
                self._resumed_bytes += block * BLOCK_BYTES if first else 0
                first = False
                self._progress(file.place, block * BLOCK_BYTES, file.size_bytes)
                # Written at its place and not appended: the connection before may still be writing the same bytes.
                script = f"dd of={self._access.path(place)} bs={BLOCK_BYTES} seek={block} conv=notrunc"
                feed = self._blocks(file, block * BLOCK_BYTES)
                answer = self._access.phone.shell(self._access.script(script), feed=feed)
                if answer.status:
                    self._refused(file, answer)
                elif file.size_bytes == 0:
                    return
                waited_since, before = None, there
            except (DisconnectedError, SeedTuneError) as error:
                if isinstance(error, SeedTuneError) and not isinstance(error.__cause__, DisconnectedError):
                    raise
                waited_since = waited_since or time.monotonic()
                if time.monotonic() - waited_since > self._patience_seconds:
                    raise given_up(DisconnectedError(str(error)), self._access.phone.serial) from error
                time.sleep(0.2)
                self._access.phone.reconnect()

    def _blocks(self, file: Sent, start: int) -> Iterator[bytes]:
        done = start
        try:
            with Path(file.source).open("rb") as source:
                source.seek(start)
                while chunk := source.read(4 * BLOCK_BYTES):
                    yield chunk
                    done += len(chunk)
                    self._sent_bytes += len(chunk)
                    self._progress(file.place, done, file.size_bytes)
        except OSError as error:
            raise SeedTuneError(f"the file cannot be read ({error.strerror})", file=file.source) from error

    def _refused(self, file: Sent, answer: Answer) -> None:
        found = list_files(self._access, file.folder).get(_partial(file))
        require_storage(
            self._access, file.size_bytes - (found.size_bytes if found else 0), SPARE_STORAGE_BYTES, file.name
        )
        raise SeedTuneError(
            "the phone does not take this file",
            file=file.source,
            value=answer.complaint,
            remedy="free storage on the phone and push again: it goes on from where it was",
        )

    def _notes(self) -> dict[str, _Note]:
        answer = self._access.shell(f"cat {self._access.path(NOTES)} 2>/dev/null")
        try:
            return msgspec.json.decode(answer.out, type=dict[str, _Note])
        except (ValueError, RecursionError):
            # Nothing was noted, or it is damaged: then files are hashed.
            return {}

    def _note(self, notes: dict[str, _Note]) -> None:
        text = msgspec.json.encode(notes).decode()
        self._access.shell(f"echo {quoted(text)} > {self._access.path(NOTES)}")


def _partial(file: Sent) -> str:
    return f".part-{file.sha256[:16]}-{file.name}"
