"""From a data split to what feeds the graphs, whichever scope the bundle has; says what a cache will cost."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.context.contexts import CachePlan, Contexts
from seedtune.runtime.context.suffix_rows import SuffixRows
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.types import Graphs
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


def cache_options(folder: str | Path | None, limit: int | str | None) -> CacheOptions:
    """Options as they were given: a folder or none, and a size such as "500M" or none.

    Raises:
        SeedTuneError: ``limit`` is no size.
    """
    limit_bytes = None if limit is None else size_bytes(limit, "--cache-limit")
    return CacheOptions(None if folder is None else Path(folder), limit_bytes)


def opening_feeder(
    graphs: Graphs, examples: Sequence[Example], *, name: str = "rows", cache: CacheOptions = NO_CACHE
) -> Generator[CachingContexts | Notice, None, Feeder]:
    """What feeds ``graphs`` with ``examples``; builds the context cache where there is to be one.

    Args:
        graphs: of a bundle of either scope.
        examples: the rows of a split.
        name: of the split, in messages and in the name of the cache file.
        cache: where contexts are kept.

    Raises:
        SeedTuneError: the cache belongs to something else, has been altered, or does not fit the disk.
    """
    bundle = graphs.bundle
    padding_id = bundle.manifest.objective.model.padding_id
    layout = bundle.manifest.objective.context
    if layout is None:
        return WholeRows(examples, padding_id)
    path = None
    if cache.folder is not None and cache.limit_bytes != 0:
        path = cache.folder / f"{name}-{bundle.sha256[:12]}.contexts"
    contexts = Contexts(graphs, examples, path, cache.limit_bytes)
    if path is not None:
        plan = contexts.plan()
        yield Notice(f"{name}: {describe_plan(plan, layout.storage)}")
        if plan.missing_rows:
            yield CachingContexts(name, 0, plan.missing_rows)
            for done in contexts.build():
                yield CachingContexts(name, done, plan.missing_rows)
    return SuffixRows(examples, padding_id, contexts, graphs.choice.context_tokens_per_call if graphs.choice else None)


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
