"""Gives pages of libraries back while a limit is kept to: clean pages of files, which the system reads again if asked.

Starting an interpreter and loading ONNX Runtime touches tens of megabytes of code and tables that a run never needs
again, and all of them stay resident as long as nothing presses. Under a hard cap the kernel drops them by itself; a
limit without a cap has to do it on its own. Only mappings that cannot be written to and have no page of their own are
dropped, so nothing that was changed (relocated tables, say) is lost: Linux, madvise(2), MADV_DONTNEED, "subsequent
accesses ... will succeed, but will result in ... repopulating the memory contents from the up-to-date contents of the
underlying mapped file".
"""

from __future__ import annotations

import ctypes
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

MAPS, SMAPS = Path("/proc/self/maps"), Path("/proc/self/smaps")
_STATM = "/proc/self/statm"
# The first line of a mapping: addresses, permissions, offset, device, inode, path (proc_pid_maps(5)).
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(\S.*)")
_MADV_DONTNEED = 4
# Room below a limit: for all stages of a graph, and for one of them.
FAR_BYTES, NEAR_BYTES = 32 << 20, 8 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class LibraryPages:
    """The mappings of libraries whose pages can be given back.

    Attributes:
        mappings: their lines in /proc/self/maps. A line that is there no longer is left alone: something else may lie
            at its address.
    """

    mappings: frozenset[str] = field(repr=False)

    @classmethod
    def found(cls) -> LibraryPages:
        """Those of this process now; none where the system does not tell, or cannot give pages back."""
        try:
            text = SMAPS.read_text("utf-8", "surrogateescape")
            ctypes.CDLL(None).madvise  # noqa: B018
        except (OSError, AttributeError, TypeError):
            return cls(frozenset())
        return cls(clean_library_mappings(text))

    def give_back(self) -> None:
        """Drops them; whoever reads one again gets it from the file."""
        if not self.mappings:
            return
        madvise = ctypes.CDLL(None).madvise
        for line in MAPS.read_text("utf-8", "surrogateescape").splitlines():
            if line in self.mappings and (found := _MAPPING.match(line)):
                start, end = int(found[1], 16), int(found[2], 16)
                # What it answers does not matter: a mapping that is gone holds nothing.
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def clean_library_mappings(smaps: str) -> frozenset[str]:
    """The first lines of those mappings in the text of an smaps file that are a library's, read-only and unchanged."""
    found = []
    line = ""
    for each in smaps.splitlines():
        if mapping := _MAPPING.match(each):
            readable = mapping[3] in ("r-xp", "r--p")
            line = each if readable and _is_library(mapping[4]) else ""
        elif line and each.startswith("Anonymous:"):
            if each.split()[1:2] == ["0"]:
                found.append(line)
            line = ""
    return frozenset(found)


def _is_library(path: str) -> bool:
    name = path.rpartition("/")[2]
    return path.startswith("/") and (".so" in name or name.startswith("python"))


@dataclass(frozen=True)
class PageGuard:
    """Gives pages of libraries back whenever a process comes near its limit.

    A look costs some ten microseconds, giving back a few milliseconds, most of them for what is read again.

    Attributes:
        pages: that can be given back.
        limit_bytes: of all that the process holds.
    """

    pages: LibraryPages
    limit_bytes: int

    def begin(self) -> None:
        """Before a graph runs: whatever its stages will need has its room then."""
        self._keep_below(self.limit_bytes - FAR_BYTES)

    def look(self) -> None:
        """Before each stage."""
        self._keep_below(self.limit_bytes - NEAR_BYTES)

    def _keep_below(self, most_bytes: int) -> None:
        if self.pages.mappings and resident_bytes() > most_bytes:
            self.pages.give_back()


def resident_bytes() -> int:
    """All that this process holds now, pages of files included; 0 where the system does not tell."""
    try:
        with open(_STATM, "rb", buffering=0) as statm:
            return int(statm.read(128).split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0
