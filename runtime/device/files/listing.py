"""What is on the phone: sizes, times and hashes of files, and free storage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.files.names import is_plain
from seedtune.runtime.errors import SeedTuneError

# A phone hashes at least so many bytes a second; a guess that no phone of the last ten years falls short of.
SLOWEST_HASH_BYTES_A_SECOND = 10_000_000
_STAT = re.compile(r"(\d+) (\d+) (.*)")
_HASH = re.compile(r"([0-9a-f]{64})\b")


@dataclass(frozen=True)
class Found:
    """A file on the phone: its size, and when it was last written, in seconds of the phone's clock."""

    size_bytes: int
    written_seconds: int


def list_files(access: Access, folder: str) -> dict[str, Found]:
    """Plain files of ``folder`` in the app's own, hidden ones of ours included; empty where there is no such folder.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    script = (
        f'cd {access.path(folder)} 2>/dev/null || exit 0; for f in * .part-*; do [ -f "$f" ] && stat -c "%s %Y %n" "$f"'
    )
    answer = access.shell(f"{script}; done; true")
    found = {}
    for line in answer.text.splitlines():
        match = _STAT.fullmatch(line)
        # Nothing that leads out of the folder is ever asked for again.
        if match and (is_plain(match[3]) or (match[3].startswith(".part-") and is_plain(match[3][1:]))):
            found[match[3]] = Found(int(match[1]), int(match[2]))
    return found


def list_folders(access: Access, folder: str) -> list[str]:
    """Names of the folders in ``folder``, rising.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    answer = access.shell(
        f'cd {access.path(folder)} 2>/dev/null || exit 0; for f in */; do [ -d "$f" ] && echo "$f"; done'
    )
    return sorted(name for line in answer.text.splitlines() if is_plain(name := line.removesuffix("/")))


def hash_of(access: Access, place: str, size_bytes: int) -> str | None:
    """SHA-256 of the file ``place`` in hexadecimal, computed by the phone; None where there is none.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    patience = 60 + size_bytes / SLOWEST_HASH_BYTES_A_SECOND
    answer = access.shell(f"sha256sum < {access.path(place)}", silence_seconds=patience)
    match = _HASH.match(answer.text)
    return match[1] if match and answer.status == 0 else None


def free_bytes(access: Access) -> int | None:
    """Free storage where the app's files lie; None where the phone does not tell.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    return available_bytes(access.shell(f"df -k {access.path()}").text)


def available_bytes(text: str) -> int | None:
    """The column "Available" of the last line that `df -k` printed, in bytes."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    # The heading's last word is two: "Mounted on".
    heading = next((words for words in lines if "Available" in words or "Avail" in words), None)
    if heading is None or lines[-1] is heading:
        return None
    column = next(index for index, word in enumerate(heading) if word.startswith("Avail"))
    figures = lines[-1]
    return int(figures[column]) * 1024 if column < len(figures) and figures[column].isdigit() else None


def require_storage(access: Access, needed_bytes: int, spare_bytes: int, what: str) -> None:
    """Raises SeedTuneError unless ``needed_bytes`` fit and ``spare_bytes`` are left then; it says what is missing."""
    free = free_bytes(access)
    if free is not None and free < needed_bytes + spare_bytes:
        missing = needed_bytes + spare_bytes - free
        raise SeedTuneError(
            f"the phone has too little free storage for {what}: {missing / 1e6:,.0f} MB are missing",
            value=f"{free / 1e6:,.0f} MB free",
            rule=f"{needed_bytes / 1e6:,.0f} MB, and {spare_bytes / 1e6:,.0f} MB to spare, without which the app waits",
            remedy="free some on the phone, or export with a smaller --storage (int8, fp16)",
        )


def names_of(places: Sequence[str]) -> str:
    """A list for people."""
    return ", ".join(places) if places else "none"
