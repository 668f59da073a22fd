"""The export, start to end: checkpoint -> trace -> graphs -> weights -> check -> bundle, or nothing at all.

Everything is written into a folder beside the destination and renamed when it is whole and checked.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.graphs.prefix import build_prefix
from seedtune.exporter.graphs.probe import build_probe
from seedtune.exporter.graphs.scope import pair_shape
from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.storage import Storage, store
from seedtune.exporter.reference.check import check_bundle
from seedtune.exporter.stages.build import build_stages
from seedtune.exporter.storage.destination import refuse_existing, require_space, staging_folder
from seedtune.exporter.storage.mapped_pages import mapped_pages_limited
from seedtune.exporter.storage.weights import WeightsFile
from seedtune.exporter.targets import lora_a_values
from seedtune.exporter.trace.traced_model import PrefixStorage, head_parameters, state_layout, trace_in_scope
from seedtune.runtime.bundle.manifest import (
    FORMAT_VERSION,
    GRAPHS,
    MANIFEST,
    PREFIX_GRAPH,
    TOKENIZER,
    WEIGHTS,
    CheckResult,
    Manifest,
    Model,
    StateLayout,
    describe,
    encode_manifest,
)
from seedtune.runtime.bundle.stage_plan import STAGES, encode_plan
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Scope
from seedtune.runtime.task.template import has_fixed_end

Phase = Callable[[str], None]
# Buffers up to this size stay inside the graph file; larger ones go to the weights file.
INLINE_BYTES = 4096
FILES = GRAPHS | PREFIX_GRAPH


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
    prefix_storage: PrefixStorage = "fp16",
    check: bool = True,
    overwrite: bool = False,
    phase: Phase = lambda _name: None,
    notice: Phase = lambda _text: None,
) -> Manifest:
    """Exports ``source`` for the task ``task_name`` into the new folder ``out`` and returns its manifest.

    Args:
        source: an embedded name, a folder, a GGUF file or a hub id.
        task_name: a built-in task or the path of a task file.
        storage: how matrices are stored, see `encodings.py`; int8 also multiplies in 8 bits, the others in float32.
        targets: see `targets.select`.
        rank: r, the columns of every B.
        adapter_seed: the seed of every A.
        scope: "suffix": the state acts behind the text of a row, whose keys and values can be kept; "all": at every
            token. None for "suffix" where task and model allow it.
        prefix_storage: how keys and values of a prefix are stored.
        check: compare with transformers before the bundle is put in place.
        overwrite: replace an existing ``out``.
        phase: told the name of each phase as it starts.
        notice: told why a scope of None became "all".

    Raises:
        SeedTuneError: anything the user can put right; ``out`` is then as it was.
    """
    if rank < 1:
        raise SeedTuneError("the rank is too small", value=rank, rule="rank >= 1", remedy="use --rank 4 to 16")
    refuse_existing(out, overwrite)
    phase("opening the checkpoint")
    checkpoint = open_checkpoint(source)
    task = load_task(task_name).for_family(checkpoint.family)
    splits = task.kind == "completion" or has_fixed_end(task.template)
    compiled = CompiledTask(
        task,
        checkpoint.tokenizer,
        checkpoint.family,
        checkpoint.mask_token,
        checkpoint.unknown_token,
        checkpoint.max_positions,
        scope or ("suffix" if splits else "all"),
        checkpoint.end_token,
    )
    if scope is None and not splits:
        notice("scope all: the template ends with a field, so there is no suffix for the state to act at")
    phase("tracing the model")
    skeleton = checkpoint.skeleton()
    traced = trace_in_scope(skeleton, checkpoint, compiled, scope, prefix_storage, notice)
    layout = state_layout(traced.model, skeleton, checkpoint, targets, rank, adapter_seed)
    phase("building the graphs")
    words = compiled.label_word_ids
    graphs = {"probe": build_probe(traced, layout, words), "eval": build_eval(traced, layout, words)}
    if traced.prefix is not None:
        graphs["prefix"] = build_prefix(traced)
    buffers = _lift_large_buffers(graphs)
    # Every A stays float32: it is small, and what a state means must not depend on the storage.
    # Buffers stay as they are too: a rotary table is no weight.
    keep = {target.lora_a for target in layout.targets} | buffers.keys()
    pairs = {"probe": pair_shape(graphs["probe"].graph, traced)}
    encodings = store(
        ((graph.graph, pairs.get(name)) for name, graph in graphs.items()), storage, keep, head_parameters(skeleton)
    )
    graphs["update"] = build_update(layout)
    needed: dict[str, tuple[ir.DataType, tuple[int, ...]]] = {}
    for graph in graphs.values():
        needed |= used_parameters(finish(graph))
    plan, stage_graphs = build_stages(graphs)

    staging, weights_bytes = staging_folder(out), 0
    try:
        with mapped_pages_limited([*checkpoint.weight_paths, staging / WEIGHTS]):
            weights = WeightsFile(staging / WEIGHTS, needed, encodings, plan.streamed)
            weights_bytes = weights.total_bytes
            require_space(out.parent, weights_bytes)
            phase("writing the weights")
            weights.write(_all_tensors(checkpoint, layout, buffers))
            external = weights.external_tensors()
            for name, graph in graphs.items():
                bind(graph, external)
                ir.save(graph, staging / FILES[name])
            for name, graph in stage_graphs.items():
                ir.save(graph, staging / name)
            write_durably(staging / STAGES, encode_plan(plan))
            write_durably(staging / TOKENIZER, checkpoint.tokenizer.to_str().encode())
            manifest = Manifest(
                format_version=FORMAT_VERSION,
                seedtune_version=metadata.version("seedtune"),
                model=_model_of(checkpoint, skeleton),
                task=task,
                label_word_ids=tuple(words),
                storage=storage,
                state=layout,
                files={file.name: describe(file) for file in sorted(staging.iterdir())},
                prefix=traced.prefix,
            )
            del skeleton
            write_durably(staging / MANIFEST, encode_manifest(manifest))
            if check:
                phase("comparing with transformers")
                manifest = _checked(staging, manifest, check_bundle(staging, checkpoint, encodings))
        if out.exists():
            shutil.rmtree(out)
        staging.chmod(0o755)
        staging.rename(out)
    except OSError as error:
        raise SeedTuneError(
            f"the bundle cannot be written ({error.strerror or error})",
            file=error.filename or out,
            rule=f"about {weights_bytes / 1e6:,.0f} MB on the disk of {out.parent}",
            remedy="free space, choose another --out, or use --storage fp16",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _checked(staging: Path, manifest: Manifest, result: CheckResult) -> Manifest:
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    manifest = Manifest(**(fields | {"check": result}))
    write_durably(staging / MANIFEST, encode_manifest(manifest))
    return manifest


def _lift_large_buffers(graphs: dict[str, ir.Model]) -> dict[str, np.ndarray]:
    """Takes the values of large constants out of the graphs, so that they go to the weights file once."""
    lifted: dict[str, np.ndarray] = {}
    for model in graphs.values():
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and not name.startswith("constant_"):
                lifted[name] = tensor.numpy()
                value.const_value = None
    return lifted


def _all_tensors(
    checkpoint: Checkpoint, layout: StateLayout, buffers: dict[str, np.ndarray]
) -> Iterator[tuple[str, torch.Tensor | np.ndarray]]:
    yield from lora_a_values(layout).items()
    yield from buffers.items()
    yield from checkpoint.tensors()


def _model_of(checkpoint: Checkpoint, skeleton: torch.nn.Module) -> Model:
    config = checkpoint.config.get_text_config()
    return Model(
        source=checkpoint.source,
        architecture=type(skeleton).__name__,
        family=checkpoint.family,
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        hidden_size=config.hidden_size,
        vocabulary_size=config.vocab_size,
        max_positions=checkpoint.max_positions,
        padding_id=checkpoint.padding_id,
        mask_token=checkpoint.mask_token,
        unknown_token=checkpoint.unknown_token,
        end_token=checkpoint.end_token,
    )
