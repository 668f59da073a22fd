"""From a data split to what feeds the graphs, whichever scope the bundle has; says what a cache will cost."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.contexts import CachePlan, Contexts
from seedtune.runtime.context.suffix_rows import SuffixRows
from seedtune.runtime.data.rows import Rows
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.absent_contexts import absent_contexts
from seedtune.runtime.sizes import size_bytes
from seedtune.runtime.task.example import Example
from seedtune.runtime.telemetry.events import CachingContexts, Notice


@dataclass(frozen=True)
class CacheOptions:
    """Where contexts are kept (None for nowhere), and how many bytes of them for each split (None for all)."""

    folder: Path | None = None
    limit_bytes: int | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether every row's context is read from a file."""
        return self.folder is not None and self.limit_bytes is None


NO_CACHE = CacheOptions()
# Digits of the bundle's hash in the name of a cache file.
NAME_DIGITS = 12


def cache_options(folder: str | Path | None, limit: int | str | None) -> CacheOptions:
    """Options as they were given: a folder or none, and a size such as "500M" or none.

    Raises:
        SeedTuneError: ``limit`` is no size.
    """
    limit_bytes = None if limit is None else size_bytes(limit, "--cache-limit")
    return CacheOptions(None if folder is None else Path(folder), limit_bytes)


def contexts_path(bundle: Bundle, folder: Path, name: str) -> Path:
    """The cache file of the split ``name`` in ``folder``; the bundle's hash in it keeps caches of two bundles apart."""
    return folder / f"{name}-{bundle.sha256[:NAME_DIGITS]}.contexts"


def contexts_files(bundle: Bundle, folder: Path) -> list[Path]:
    """The cache files of ``bundle`` in ``folder``, whatever their splits."""
    return sorted(folder.glob(f"*-{bundle.sha256[:NAME_DIGITS]}.contexts"))


def opening_feeder(
    graphs: Graphs,
    examples: Sequence[Example],
    *,
    name: str = "rows",
    cache: CacheOptions = NO_CACHE,
    rows: Rows | None = None,
) -> Generator[CachingContexts | Notice, None, Feeder]:
    """What feeds ``graphs`` with ``examples``; builds the context cache where there is to be one.

    Args:
        graphs: of a bundle of either scope.
        examples: the rows of a split.
        name: of the split, in messages and in the name of the cache file.
        cache: where contexts are kept.
        rows: what ``examples`` were made of, for messages.

    Raises:
        SeedTuneError: the cache belongs to something else, has been altered, or does not fit the disk; or a context is
            in no cache, and cannot be computed without the bundle's host files.
    """
    padding_id = graphs.bundle.manifest.language_model.model.padding_id
    if graphs.bundle.manifest.language_model.context is None:
        return WholeRows(examples, padding_id)
    contexts = yield from opening_contexts(graphs, examples, name=name, cache=cache, rows=rows)
    return SuffixRows(examples, padding_id, contexts, graphs.choice.context_tokens_per_call if graphs.choice else None)


def opening_contexts(
    graphs: Graphs, examples: Sequence[Example], *, name: str, cache: CacheOptions, rows: Rows | None = None
) -> Generator[CachingContexts | Notice, None, Contexts]:
    """The contexts of ``examples``, computed as far as ``cache`` is to keep them; as of :func:`opening_feeder`."""
    bundle, path = graphs.bundle, None
    if not bundle.computes_contexts:
        # Whatever the desk named them: no row is computed for want of its name.
        files = contexts_files(bundle, cache.folder) if cache.folder is not None else []
        contexts = Contexts(graphs, examples, read=files)
        if absent := contexts.absent():
            raise absent_contexts(bundle, name, cache.folder, absent, len(examples), rows)
        return contexts
    if cache.folder is not None and cache.limit_bytes != 0:
        path = contexts_path(bundle, cache.folder, name)
    contexts = Contexts(graphs, examples, path, cache.limit_bytes)
    if path is not None:
        yield from building(contexts, name)
    return contexts


def building(contexts: Contexts, name: str) -> Generator[CachingContexts | Notice, None, CachePlan]:
    """Computes what the cache of the split ``name`` lacks, once its size was told; returns what it came to before."""
    plan = contexts.plan()
    yield Notice(f"{name}: {describe_plan(plan, contexts.layout.storage)}")
    if plan.missing_rows:
        yield CachingContexts(name, 0, plan.missing_rows)
        for done in contexts.build():
            yield CachingContexts(name, done, plan.missing_rows)
    return plan


def open_feeder(
    graphs: Graphs, examples: Sequence[Example], *, name: str = "rows", cache: CacheOptions = NO_CACHE
) -> Feeder:
    """:func:`opening_feeder` without a word on the way."""
    return result_of(opening_feeder(graphs, examples, name=name, cache=cache))


def describe_plan(plan: CachePlan, storage: str) -> str:
    """A plan in one line."""
    text = f"context cache of {plan.rows:,} rows, {plan.tokens:,} tokens, {plan.total_bytes / 1e6:,.0f} MB ({storage})"
    if plan.kept_rows < plan.rows:
        text += f"; {plan.kept_rows:,} rows, {plan.kept_bytes / 1e6:,.0f} MB are kept, the others computed at each use"
    missing = f"{plan.missing_rows:,} rows, {plan.missing_bytes / 1e6:,.0f} MB to be computed now"
    return f"{text}; {missing if plan.missing_rows else 'complete'}"
