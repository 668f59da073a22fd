"""A context cache made for its own sake: at the desk, for runs there or on a phone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from seedtune.runtime.bundle.host_files import CONTEXT
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.contexts import CachePlan, Contexts
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.feeders import building, contexts_path
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.task.example import Example
from seedtune.runtime.telemetry.events import CachingContexts, Notice


def require_contexts(bundle: Bundle, name: str) -> None:
    """Raises SeedTuneError where ``bundle`` cannot compute contexts, or a cache cannot be called ``name``."""
    if bundle.manifest.language_model.context is None:
        raise SeedTuneError(
            "the state of this bundle acts at every token, so nothing of a row is kept",
            file=bundle.path,
            value=f"scope {bundle.manifest.language_model.scope}",
            rule="scope suffix or last",
            remedy="export with --scope suffix or last",
        )
    bundle.require_graph(CONTEXT)
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name:
        raise SeedTuneError(
            "a cache cannot have this name", value=name, rule="a plain name, such as train or eval", remedy="choose one"
        )


def caching(
    bundle: Bundle,
    examples: Sequence[Example],
    folder: Path,
    name: str,
    memory_limit_bytes: int | None = None,
    threads: int | None = None,
) -> Generator[CachingContexts | Notice, None, CachePlan]:
    """Computes the contexts of ``examples`` that the cache ``name`` in ``folder`` lacks.

    Args:
        bundle: one that :func:`require_contexts` has nothing against.
        examples: the rows.
        folder: made if need be.
        name: of the split.
        memory_limit_bytes: of everything the process holds; None for no limit.
        threads: of ONNX Runtime.

    Returns:
        What the cache comes to; what it says is missing was computed.

    Raises:
        SeedTuneError: the limit is too small, the disk has too little room, or the file is another one's or damaged.
    """
    graphs: Graphs = MappedGraphs(bundle, threads)
    if memory_limit_bytes is not None:
        graphs = limit_memory(
            bundle,
            examples,
            memory_limit_bytes,
            examples_at_once=1,
            cached=True,
            threads=threads,
            contexts_only=True,
        )
        yield Notice(str(graphs.choice))
    contexts = Contexts(graphs, examples, contexts_path(bundle, folder, name))
    plan = yield from building(contexts, name)
    contexts.close()
    return plan
