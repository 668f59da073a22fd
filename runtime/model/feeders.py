"""From a data split to what feeds the graphs, whichever scope the bundle has; says what a cache will cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.prefix.prefixes import CachePlan, Prefixes
from seedtune.runtime.prefix.suffix_rows import SuffixRows
from seedtune.runtime.task.example import Example

Notice = Callable[[str], None]


# Given a name and a number of rows, returns what is to be told how many more of them are done.
Bar = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class CacheOptions:
    """Where prefixes are kept (None for nowhere), and how many bytes of them for each split (None for all)."""

    folder: Path | None = None
    limit_bytes: int | None = None


def open_feeder(
    bundle: Bundle,
    examples: Sequence[Example],
    *,
    name: str = "rows",
    cache: CacheOptions | None = None,
    threads: int | None = None,
    bar: Bar = lambda _name, _total: lambda _count: None,
    notice: Notice = lambda _text: None,
) -> Feeder:
    """What feeds the graphs of ``bundle`` with ``examples``; builds the prefix cache where there is to be one.

    Args:
        bundle: verified.
        examples: the rows of a split.
        name: of the split, in messages and in the name of the cache file.
        cache: None for no cache.
        threads: of ONNX Runtime.
        bar: shows a bar while a cache is built.
        notice: told what the cache comes to before it is built.

    Raises:
        SeedTuneError: the cache belongs to something else, has been altered, or does not fit the disk.
    """
    padding_id = bundle.manifest.model.padding_id
    if bundle.manifest.scope == "all":
        return WholeRows(examples, padding_id)
    path = None
    if cache is not None and cache.folder is not None and cache.limit_bytes != 0:
        path = cache.folder / f"{name}-{bundle.sha256[:12]}.prefixes"
    prefixes = Prefixes(bundle, examples, path, cache.limit_bytes if cache else None, threads)
    if path is not None:
        plan = prefixes.plan()
        notice(f"{name}: {describe_plan(plan, bundle.manifest.prefix.storage if bundle.manifest.prefix else '')}")
        if plan.missing_rows:
            prefixes.build(bar(f"caching prefixes of {name}", plan.missing_rows))
    return SuffixRows(examples, padding_id, prefixes, bundle.memory.prefix_tokens_per_call if bundle.memory else None)


def describe_plan(plan: CachePlan, storage: str) -> str:
    """A plan in one line."""
    text = f"prefix cache of {plan.rows:,} rows, {plan.tokens:,} tokens, {plan.total_bytes / 1e6:,.0f} MB ({storage})"
    if plan.kept_rows < plan.rows:
        text += f"; {plan.kept_rows:,} rows, {plan.kept_bytes / 1e6:,.0f} MB are kept, the others computed at each use"
    missing = f"{plan.missing_rows:,} rows, {plan.missing_bytes / 1e6:,.0f} MB to be computed now"
    return f"{text}; {missing if plan.missing_rows else 'complete'}"
