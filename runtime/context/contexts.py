"""The contexts of a data split: from a cache file as far as there is one, computed anew otherwise.

Both ways give the same blocks: what is computed is rounded to the stored type by the graph itself. (A matrix product
may round differently in another batch; after rounding to the stored type, few values still show it.)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.context.blocks import Block, LayeredBlock, Tokens, block_bytes, parse_block
from seedtune.runtime.context.cache_file import CacheFile, entry_bytes
from seedtune.runtime.context.cache_header import CacheHeader
from seedtune.runtime.context.cache_lock import only_writer
from seedtune.runtime.context.maker import ContextMaker, context_key, kept_tokens, reads_context_alone
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.task.example import Example

# A row of which nothing is kept.
NONE = Tokens(0, 0)
# Left free on the disk, for the journal and logs of the run.
RESERVED_BYTES = 16 << 20


@dataclass(frozen=True)
class CachePlan:
    """What a cache of a split comes to, before anything is computed.

    Attributes:
        rows: rows with a context, equal ones counted once.
        tokens: tokens of their contexts.
        total_bytes: of a cache of all of them.
        kept_rows: how many of them the limit lets the cache keep.
        kept_bytes: of these.
        missing_rows: how many of these are still to be computed.
        missing_bytes: of these.
    """

    rows: int
    tokens: int
    total_bytes: int
    kept_rows: int
    kept_bytes: int
    missing_rows: int
    missing_bytes: int


class Contexts:
    """See the module docstring. Call :meth:`close` when done, or leave it to the end of the process.

    Args:
        graphs: of a bundle whose scope is not "all".
        examples: the rows of the split.
        cache: the cache file, made if need be; None computes every context anew.
        limit_bytes: of the cache; rows beyond it are computed anew whenever they are needed. None for all.
        read: further cache files, of which nothing but contexts is wanted.

    Raises:
        SeedTuneError: the cache file belongs to another bundle, or has been altered.
    """

    def __init__(
        self,
        graphs: Graphs,
        examples: Sequence[Example],
        cache: Path | None = None,
        limit_bytes: int | None = None,
        read: Sequence[Path] = (),
    ) -> None:
        bundle = graphs.bundle
        layout = bundle.manifest.language_model.context
        if layout is None:
            raise ValueError('a bundle of scope "all" has no contexts')
        self.layout = layout
        self._graphs = graphs
        self._examples = examples
        self._header = CacheHeader(bundle.sha256, layout)
        self._mapped = graphs.choice is None
        self._file = CacheFile(cache, self._header, self._mapped) if cache is not None else None
        self._read = [CacheFile(path, self._header, self._mapped, writable=False) for path in read]
        alone = reads_context_alone(bundle.manifest.language_model)
        self._keys = [context_key(example, alone) for example in examples]
        self.tokens = [kept_tokens(example, layout) for example in examples]
        self._first = {key: place for place, key in reversed(list(enumerate(self._keys))) if self.tokens[place] != NONE}
        self._kept = self._within(limit_bytes)
        self._maker: ContextMaker | None = None

    def close(self) -> None:
        """Closes the cache files and the session."""
        self._maker = None
        for file in self._files:
            file.close()

    def plan(self) -> CachePlan:
        """What the cache comes to, and what of it is missing."""
        sizes = {key: entry_bytes(self.layout, self.tokens[place]) for key, place in self._first.items()}
        missing = self._missing()
        return CachePlan(
            rows=len(sizes),
            tokens=sum(self.tokens[place].context for place in self._first.values()),
            total_bytes=sum(sizes.values()),
            kept_rows=len(self._kept),
            kept_bytes=sum(sizes[key] for key in self._kept),
            missing_rows=len(missing),
            missing_bytes=sum(sizes[self._keys[place]] for place in missing),
        )

    def absent(self) -> list[int]:
        """The places of rows whose context is in no cache and cannot be computed, ascending."""
        if self._graphs.bundle.computes_contexts:
            return []
        return [place for place, key in enumerate(self._keys) if self.tokens[place] != NONE and not self._has(key)]

    def build(self) -> Iterator[int]:
        """Computes what is missing and appends it; stopped at any time, it goes on from there.

        Yields:
            How many of the missing rows are done.

        Raises:
            SeedTuneError: the disk has too little room, or the file cannot be written.
        """
        if self._file is None or not self._missing():
            return
        path = self._file.path
        with only_writer(path):
            # Another process may have written it in the meantime.
            self._file.close()
            self._file = CacheFile(path, self._header, self._mapped)
            plan = self.plan()
            _require_space(path, plan)
            missing = self._missing()
            for done, (place, block) in enumerate(self._make(missing), 1):
                index = missing[place]
                self._file.append(self._keys[index], block)
                # A view of what the call returned, which would stay through the next call.
                del block
                yield done
        # Between building and the next row without a cached context its memory is the probe's to use.
        self._maker = None

    def blocks(self, indices: Sequence[int]) -> list[LayeredBlock]:
        """The block of each example of ``indices``, in that order.

        Raises:
            SeedTuneError: a block of the cache has been altered, or is absent and cannot be computed.
        """
        found: dict[int, LayeredBlock] = {}
        empty = parse_block(b"", self.layout, NONE)
        for index in indices:
            if self.tokens[index] == NONE:
                found[index] = empty
            elif (file := self._file_of(self._keys[index])) is not None:
                found[index] = file.block(self._keys[index])
        absent = [index for index in dict.fromkeys(indices) if index not in found]
        for place, block in self._make(absent):
            # A view would keep all that the call returned.
            index = absent[place]
            found[index] = parse_block(block_bytes(block), self.layout, self.tokens[index])
            del block
        return [found[index] for index in indices]

    def _make(self, indices: Sequence[int]) -> Iterator[tuple[int, Block]]:
        if not indices:
            return iter(())
        if self._maker is None:
            choice = self._graphs.choice
            tokens = choice.tokens_per_context_call if choice else None
            self._maker = ContextMaker(self._graphs.open("context"), self._graphs.bundle.manifest, tokens)
        return self._maker.make([self._examples[index] for index in indices])

    def _within(self, limit_bytes: int | None) -> set[bytes]:
        """The keys that a cache of ``limit_bytes`` keeps: what it has already, then rows in their order."""
        if not self._files:
            return set()
        kept: set[bytes] = set()
        used = 0
        for key in sorted(self._first, key=lambda key: (not self._has(key), self._first[key])):
            size = entry_bytes(self.layout, self.tokens[self._first[key]])
            if limit_bytes is None or used + size <= limit_bytes:
                kept.add(key)
                used += size
        return kept

    def _missing(self) -> list[int]:
        return [place for key, place in self._first.items() if key in self._kept and not self._has(key)]

    def _has(self, key: bytes) -> bool:
        return self._file_of(key) is not None

    def _file_of(self, key: bytes) -> CacheFile | None:
        return next((file for file in self._files if key in file), None)

    @property
    def _files(self) -> list[CacheFile]:
        return [*([self._file] if self._file else []), *self._read]


def _require_space(path: Path, plan: CachePlan) -> None:
    free = shutil.disk_usage(path.parent).free
    needed = plan.missing_bytes + RESERVED_BYTES
    if free < needed:
        raise SeedTuneError(
            "the disk has too little room for the context cache",
            file=path,
            value=f"{free / 1e6:,.0f} MB free",
            rule=f"{needed / 1e6:,.0f} MB for {plan.missing_rows:,} rows",
            remedy="free space, choose another folder with --cache, or keep less with --cache-limit",
        )
