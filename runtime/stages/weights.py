"""Weights for stages: matrices streamed through a small buffer ahead of their use, the rest mapped or kept.

One thread reads what the coming stages need while the calling thread computes. Every matrix is read once a pass, with
plain reads that pass by the page cache: under a memory cap, pages of a mapped file would be dropped and read again in
small pieces (docs/log/2026-11-23.md, "Memory limit"). Matrices in ``kept`` stay in memory after their first reading.
"""

from __future__ import annotations

import contextlib
import mmap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from seedtune.runtime.bundle.stage_plan import Role
from seedtune.runtime.direct_file import DirectFile, span_of
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import Reading
from seedtune.runtime.stages.ahead import ReadAhead
from seedtune.runtime.stages.pages import Pages
from seedtune.runtime.stages.tensors import Tensor

REMEDY = "copy or export the bundle again, then start anew"
# Tensor -> the address of its bytes.
Addresses = Mapping[str, int]


class StreamedWeights:
    """The files of weights of a bundle, read stage by stage. One pass at a time; call :meth:`close` when done.

    Args:
        tensors: by the headers of the files.
        roles: of every tensor that a stage reads.
        buffer_bytes: what streamed matrices share; at least what the largest stage needs, see `stage_bytes`.
        kept: streamed matrices that stay in memory on top of that.

    Raises:
        OSError: a file cannot be opened.
        SeedTuneError: a table is to be mapped, and the file system has no mmap.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        roles: Mapping[str, Role],
        buffer_bytes: int,
        kept: Sequence[str] = (),
    ) -> None:
        self.tensors = tensors
        self._roles = roles
        paths = sorted({tensors[name].path for name in roles})
        self._files = {path: DirectFile(path, "the weights", REMEDY) for path in paths}
        self._buffer = Pages(buffer_bytes)
        self._kept = frozenset(kept)
        # What stays: name -> address, and the memory behind the addresses.
        self._fixed: dict[str, int] = {}
        self._memory: list[Pages] = []
        self._waited_seconds = 0.0
        looked_up = {tensors[name].path for name, role in roles.items() if role == "mapped"}
        self._maps = {path: self._mapped(path) for path in looked_up}

    @property
    def reading(self) -> Reading:
        """What reading has taken so far, except through the mapping."""
        files = self._files.values()
        read, seconds = sum(file.bytes_read for file in files), sum(file.reading_seconds for file in files)
        return Reading(read, seconds, self._waited_seconds)

    def passes(self, stages: Sequence[Sequence[str]]) -> Iterator[Addresses]:
        """The addresses of the tensors of each stage; valid until the next stage is asked for.

        Args:
            stages: per stage, the tensors it reads.

        Raises:
            SeedTuneError: a file was changed, or cannot be read.
        """
        for file in self._files.values():
            file.require_unchanged()
        fixed = {name for stage in stages for name in stage if self._roles[name] != "streamed" or name in self._kept}
        for name in sorted(fixed - self._fixed.keys(), key=self._place):
            if self._roles[name] != "streamed":
                self._fix(name)
        sizes = [self._moving_bytes(stage) for stage in stages]
        ahead = ReadAhead(stages, sizes, self._read_stage, self._buffer.size_bytes, "seedtune-weights")
        with contextlib.closing(ahead):
            for stage in stages:
                asked = time.perf_counter()
                found = next(ahead)
                self._waited_seconds += time.perf_counter() - asked
                yield found
                if any(self._roles[name] == "mapped" for name in stage):
                    self._drop_tables()

    def close(self) -> None:
        """Closes the files and frees all memory."""
        self._close()
        self._fixed.clear()
        self._memory.clear()
        self._maps.clear()

    def _close(self) -> None:
        for file in self._files.values():
            file.close()

    def _place(self, name: str) -> tuple[Path, int]:
        return self.tensors[name].path, self.tensors[name].offset

    def _moving_bytes(self, stage: Sequence[str]) -> int:
        moving = set(stage) - self._fixed.keys() - self._kept
        # A stage without matrices takes a page, so that each stage gives one piece back.
        return max(sum(self._span_bytes(name) for name in moving), mmap.PAGESIZE)

    def _read_stage(self, stage: Sequence[str], offset: int) -> dict[str, int]:
        streamed = sorted(set(stage) - self._fixed.keys(), key=self._place)
        addresses = {name: self._fixed[name] for name in stage if name in self._fixed}
        for name in streamed:
            if name in self._kept:
                addresses[name] = self._fix(name)
                continue
            addresses[name] = self._read(name, self._buffer, offset)
            offset += self._span_bytes(name)
        return addresses

    def _span_bytes(self, name: str) -> int:
        return span_of(self.tensors[name].offset, self.tensors[name].size_bytes)[1]

    def _read(self, name: str, pages: Pages, offset: int) -> int:
        tensor = self.tensors[name]
        start, size = span_of(tensor.offset, tensor.size_bytes)
        self._files[tensor.path].read(start, pages.view[offset : offset + size])
        return pages.address + offset + tensor.offset - start

    def _fix(self, name: str) -> int:
        """Makes ``name`` stay: a table mapped, everything else read into memory of its own."""
        if self._roles[name] == "mapped":
            tensor = self.tensors[name]
            self._fixed[name] = self._maps[tensor.path].ctypes.data + tensor.offset
        else:
            pages = Pages(self._span_bytes(name))
            self._memory.append(pages)
            self._fixed[name] = self._read(name, pages, 0)
        return self._fixed[name]

    def _drop_tables(self) -> None:
        # Where the page cache holds a file in large pieces, each row that is looked up brings a whole piece of it.
        for mapped in self._maps.values():
            mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def _mapped(self, path: Path) -> np.ndarray:
        try:
            mapped = np.memmap(path, np.uint8, "r")
            # Rows of a table are looked up here and there: what lies beside them is not wanted.
            mapped._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        except OSError as error:
            self._close()
            raise SeedTuneError(
                f"the weights cannot be mapped into memory ({error.strerror})",
                file=path,
                rule="a file system with mmap, for a run within a memory limit",
                remedy="copy the bundle to the storage of the device itself, or leave the memory limit out",
            ) from error
        return mapped


def stage_bytes(names: Sequence[str], tensors: Mapping[str, Tensor], roles: Mapping[str, Role]) -> int:
    """What the streamed matrices among ``names`` need of the buffer."""
    return sum(
        span_of(tensors[name].offset, tensors[name].size_bytes)[1] for name in set(names) if roles[name] == "streamed"
    )
