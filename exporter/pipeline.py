"""The export, start to end: open, trace, build, store, check, place; a bundle, or nothing at all.

Everything is written into a folder beside the destination and renamed when it is whole and checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.chat_task import CHAT, chat_task
from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.graphs.all_graphs import Built, build_graphs
from seedtune.exporter.passes.finish import bind
from seedtune.exporter.passes.own_label_rows import with_label_rows
from seedtune.exporter.reference.check import check_bundle
from seedtune.exporter.storage.destination import destination, put, require_space, staged
from seedtune.exporter.storage.encodings import Encoding
from seedtune.exporter.storage.mapped_pages import mapped_pages_limited
from seedtune.exporter.storage.weights import weights_files, write_weights
from seedtune.exporter.trace.reach import Reach
from seedtune.exporter.trace.traced_model import TracedModel, trace_model
from seedtune.runtime.bundle.host_files import host_files, weights_places
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Manifest,
    StateLayout,
    Storage,
    describe,
    encode_manifest,
)
from seedtune.runtime.bundle.objective import (
    CONTEXT_GRAPH,
    DECODE,
    DECODE_GRAPH,
    GRADIENT_GRAPH,
    GRAPHS,
    TOKENIZER,
    ContextStorage,
    LanguageModel,
)
from seedtune.runtime.bundle.stage_plan import STAGES, encode_plan
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Scope, Task

Phase = Callable[[str], None]
FILES = GRAPHS | CONTEXT_GRAPH | GRADIENT_GRAPH | DECODE_GRAPH


def export_bundle(
    source: str,
    task_name: str,
    out: Path,
    *,
    storage: Storage = "fp32",
    targets: str = "default",
    rank: int = 8,
    adapter_seed: int = 0,
    scope: Scope | None = None,
    layers: int | None = None,
    context_storage: ContextStorage = "fp16",
    context_on_host: bool = False,
    decode: bool | None = None,
    check: bool = True,
    overwrite: bool = False,
    phase: Phase = lambda _name: None,
    notice: Phase = lambda _text: None,
) -> Manifest:
    """Exports ``source`` for the task ``task_name`` into the new folder ``out`` and returns its manifest.

    Args:
        source: an embedded name, a folder, a GGUF file or a hub id.
        task_name: a built-in task or the path of a task file.
        out: the new folder; ``~`` and symbolic links are followed.
        storage: how matrices are stored, see `encodings.py`; int8 also multiplies in 8 bits, the others in float32.
        targets: see `targets.select`.
        rank: r, the columns of every B.
        adapter_seed: the seed of every A.
        scope: "suffix": the state acts behind the text of a row, whose keys and values can be kept; "last": at the one
            token whose output is scored; "all": at every token. None for "last", or for "suffix" where the task is one
            of completion, if the model allows it.
        layers: the state acts in this many layers from the top, and what enters them is kept as well; None for all, or
            for the top half where no scope is given either and the task is no completion.
        context_storage: how keys and values of a context are stored.
        context_on_host: keep what only contexts are computed with in files of their own, which a phone may lack.
        decode: also make the graph that generates text, of a causal model; None for completion tasks only, since a
            classifier would have to be traced a second time for it.
        check: compare with transformers before the bundle is put in place.
        overwrite: replace an existing ``out``.
        phase: told the name of each phase as it starts.
        notice: told why no scope became scope "all", what graph cannot be, and of tokens that the embedding lacks.

    Raises:
        SeedTuneError: anything the user can put right; ``out`` is then as it was.
    """
    if rank < 1:
        raise SeedTuneError("the rank is too small", value=rank, rule="rank >= 1", remedy="use --rank 4 to 16")
    reach = Reach(scope, layers, context_on_host)
    place = destination(out, overwrite)
    phase("opening the checkpoint")
    opened = open_source(source, task_name, reach, notice)
    phase("tracing the model")
    decode = opened.task.task.kind == "completion" if decode is None else decode
    model = trace_model(
        opened.checkpoint, opened.task, reach, context_storage, targets, rank, adapter_seed, notice, decode
    )
    phase("building the graphs")
    built = build_graphs(model, opened.task.label_word_ids, storage, notice, context_on_host)
    if context_on_host and not built.context_only:
        raise reach.nothing_to_leave()
    with (
        staged(place) as folder,
        mapped_pages_limited([*opened.checkpoint.weight_paths, *weights_places(folder).values()]),
    ):
        phase("writing the weights")
        manifest = store_bundle(folder, opened, model, built, storage, context_on_host)
        if check:
            # The skeleton and the graphs would take memory that the comparison needs.
            encodings = built.encodings
            del model, built
            phase("comparing with transformers")
            manifest = check_stored(folder, manifest, opened.checkpoint, encodings)
        put(folder, place)
    return manifest


@dataclass(frozen=True)
class Opened:
    """A checkpoint, and the task as its tokenizer and family have it."""

    checkpoint: Checkpoint
    task: CompiledTask


def open_source(source: str, task_name: str, reach: Reach, notice: Phase) -> Opened:
    """Opens the checkpoint and holds the task against it; arguments as of :func:`export_bundle`."""
    # First what is quickly known to be wrong.
    named = None if task_name == CHAT else load_task(task_name)
    checkpoint = open_checkpoint(source)
    _tell_tokens_beyond(checkpoint, notice)
    task = chat_task(checkpoint) if named is None else named.for_family(checkpoint.family)
    return Opened(checkpoint, compile_task(checkpoint, task, reach.tokens(task.kind == "completion")))


def compile_task(checkpoint: Checkpoint, task: Task, scope: Scope) -> CompiledTask:
    """``task``, which is for the family of ``checkpoint``, as its tokenizer has it.

    Raises:
        SeedTuneError: a label word is not one token, or the template has no border that ``scope`` needs.
    """
    return CompiledTask(
        task,
        checkpoint.tokenizer,
        checkpoint.family,
        checkpoint.mask_token,
        checkpoint.unknown_token,
        checkpoint.max_positions,
        scope,
        checkpoint.end_token,
        vocabulary_size=checkpoint.vocabulary_size,
    )


def _tell_tokens_beyond(checkpoint: Checkpoint, notice: Phase) -> None:
    """Says how many tokens of the tokenizer the embedding lacks, if any."""
    size = checkpoint.vocabulary_size
    beyond = sorted((index, token) for token, index in checkpoint.tokenizer.get_vocab().items() if index >= size)
    if beyond:
        counted = f"{len(beyond):,} {'token' if len(beyond) == 1 else 'tokens'}"
        notice(
            f"the tokenizer has {counted} beyond the model's embedding of {size:,}, {beyond[0][1]!r} the first: rows "
            "with one will be refused"
        )


def store_bundle(
    folder: Path, opened: Opened, model: TracedModel, built: Built, storage: Storage, context_on_host: bool = False
) -> Manifest:
    """Writes everything into ``folder``, the manifest last.

    Raises:
        SeedTuneError: the disk of ``folder`` has too little room.
    """
    apart = built.context_only if context_on_host else frozenset[str]()
    weights = weights_files(weights_places(folder), built.needed, apart, built.encodings, built.plan.streamed)
    require_space(folder, sum(file.total_bytes for file in weights))
    tensors = _all_tensors(opened.checkpoint, model.layout, built.buffers)
    write_weights(weights, with_label_rows(tensors, opened.task.label_word_ids, built.needed))
    external = {name: tensor for file in weights for name, tensor in file.external_tensors().items()}
    for name, graph in built.graphs.items():
        bind(graph, external)
        ir.save(graph, folder / FILES[name])
    for name, graph in built.stage_graphs.items():
        ir.save(graph, folder / name)
    write_durably(folder / STAGES, encode_plan(built.plan))
    write_durably(folder / TOKENIZER, opened.checkpoint.tokenizer.to_str().encode())
    scope = opened.task.scope if model.traced.context else "all"
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        seedtune_version=metadata.version("seedtune"),
        objective=LanguageModel(
            model.facts,
            opened.task.task,
            tuple(opened.task.label_word_ids),
            scope,
            model.traced.context,
            model.decoder.layout if model.decoder is not None and DECODE in built.graphs else None,
        ),
        storage=storage,
        state=model.layout,
        files={file.name: describe(file) for file in sorted(folder.iterdir())},
        host_files=host_files(built.plan, DECODE in built.graphs) if context_on_host else (),
    )
    write_durably(folder / MANIFEST, encode_manifest(manifest))
    return manifest


def check_stored(
    folder: Path, manifest: Manifest, checkpoint: Checkpoint, encodings: Mapping[str, Encoding]
) -> Manifest:
    """Compares the bundle in ``folder`` with transformers, and writes what came of it into its manifest.

    Raises:
        SeedTuneError: they disagree by more than the storage type explains.
    """
    manifest = msgspec.structs.replace(manifest, check=check_bundle(folder, checkpoint, encodings))
    write_durably(folder / MANIFEST, encode_manifest(manifest))
    return manifest


def _all_tensors(
    checkpoint: Checkpoint, layout: StateLayout, buffers: dict[str, np.ndarray]
) -> Iterator[tuple[str, torch.Tensor | np.ndarray]]:
    yield from lora_a_values(layout).items()
    yield from buffers.items()
    yield from checkpoint.tensors()
