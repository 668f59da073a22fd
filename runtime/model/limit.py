"""From rows and a memory limit to graphs that keep to it."""

from __future__ import annotations

from collections.abc import Sequence

from seedtune.runtime.bundle.host_files import CONTEXT
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import GRADIENT, PROBE, StagePlan
from seedtune.runtime.context.maker import context_places, read_ids, reads_context_alone
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.library_pages import LibraryPages, PageGuard
from seedtune.runtime.stages.memory_limit import ALLOWANCE_BESIDE_PAGES_BYTES, ALLOWANCE_BYTES, Shape, choose
from seedtune.runtime.stages.streaming import StageFiles, StreamedGraphs
from seedtune.runtime.task.example import Example
from seedtune.runtime.telemetry.memory import read_memory

# Tokens of one side for which an evaluation reads the weights once, at most.
MOST_TOKENS_OF_EVALUATION = 4096


def limit_memory(
    bundle: Bundle,
    examples: Sequence[Example],
    limit_bytes: int,
    *,
    examples_at_once: int,
    cached: bool,
    tokens_per_call: int | None = None,
    threads: int | None = None,
    vectors: int = 0,
    contexts_only: bool = False,
    other_bytes: int = 0,
    step_graph: str = PROBE,
) -> StreamedGraphs:
    """The graphs of ``bundle``, kept to ``limit_bytes``; call it when all else that takes memory is there.

    Args:
        bundle: verified.
        examples: all rows it will be used with.
        limit_bytes: of everything the process holds.
        examples_at_once: how many of them are computed before the weights change.
        cached: whether the contexts of rows are read from a file.
        tokens_per_call: of one side of a probe, where it was chosen before.
        threads: of ONNX Runtime.
        vectors: as long as the state, that an optimizer will keep beside it.
        contexts_only: whether no other graph than that of contexts is opened.
        other_bytes: that will be needed beside the graphs for a time.
        step_graph: which graph a step runs, PROBE or GRADIENT; the other one is not opened.

    Raises:
        SeedTuneError: the limit is too small, the bundle lies where files cannot be mapped, or its gradient graph has
            no stages.
    """
    files = StageFiles.of(bundle)
    if contexts_only:
        files = StageFiles(files.plan.only(CONTEXT), files.tensors)
    else:
        files = StageFiles(_stepping_with(bundle, files.plan, step_graph), files.tensors)
    pages = LibraryPages.found()
    pages.give_back()
    allowance = ALLOWANCE_BESIDE_PAGES_BYTES if pages.mappings else ALLOWANCE_BYTES
    memory = read_memory()
    # Where the system tells nothing, what is held is what was held at most.
    held = (
        (memory.vm_rss_bytes or memory.vm_hwm_bytes or 0) + 4 * vectors * bundle.manifest.state.parameters + other_bytes
    )
    shape = shape_of(bundle, examples, examples_at_once, cached or not bundle.computes_contexts)
    choice = choose(limit_bytes, files.plan, files.tensors, shape, held, tokens_per_call, allowance)
    return StreamedGraphs(bundle, files, choice, PageGuard(pages, limit_bytes), threads)


def make_room() -> None:
    """Gives back what starting up has touched and nobody needs now; for whoever is about to keep to a limit."""
    LibraryPages.found().give_back()


def _stepping_with(bundle: Bundle, plan: StagePlan, step_graph: str) -> StagePlan:
    if step_graph == GRADIENT and GRADIENT not in plan.graphs:
        raise SeedTuneError(
            "the bundle's gradient graph has no stages",
            file=bundle.path,
            rule="a bundle of a version that cuts it into stages, for a run within a memory limit",
            remedy="export the bundle again, or leave --memory-limit out",
        )
    return plan.without(PROBE if step_graph == GRADIENT else GRADIENT)


def shape_of(bundle: Bundle, examples: Sequence[Example], examples_at_once: int, cached: bool) -> Shape:
    """What memory depends on; arguments as those of :func:`limit_memory`."""
    manifest = bundle.manifest
    if manifest.language_model.context is None:
        longest, context, read = max(len(example.ids) for example in examples), 0, 0
    else:
        alone = reads_context_alone(manifest.language_model)
        longest = max(0 if example.suffix is None else len(example.suffix) for example in examples)
        context = max(len(context_places(example)) for example in examples)
        read = max(len(read_ids(example, alone)) for example in examples) if bundle.computes_contexts else 0
    layout, wanted = manifest.language_model.context, examples_at_once * longest
    whole = layout.bytes_of(context, longest) if layout else 0
    of_layer = max(1, context) * layout.bytes_per_token // layout.layers if layout else 0
    return Shape(longest, context, read, wanted, manifest.state.parameters, whole, not cached, of_layer)


def examples_of_evaluation(examples: Sequence[Example]) -> int:
    """How many examples an evaluation computes for one reading of the weights, where memory allows it."""
    longest = max(len(example.ids) for example in examples)
    return max(1, min(len(examples), MOST_TOKENS_OF_EVALUATION // longest))
