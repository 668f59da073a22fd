"""The export, start to end: checkpoint -> trace -> graphs -> weights -> check -> bundle, or nothing at all.

Everything is written into a folder beside the destination and renamed when it is whole and checked.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.attention import UnsupportedAttention
from seedtune.exporter.check import check_bundle
from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.graphs.prefix import build_prefix
from seedtune.exporter.graphs.probe import build_probe
from seedtune.exporter.graphs.scope import Traced
from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.half_storage import store_half
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.suffix_trunk import trace_suffix
from seedtune.exporter.targets import lay_out, lora_a_values, select
from seedtune.exporter.trunk import head_of, trace
from seedtune.exporter.weights import WeightsFile
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
    PrefixLayout,
    StateLayout,
    describe,
    encode_manifest,
)
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Scope
from seedtune.runtime.task.template import has_fixed_end

Phase = Callable[[str], None]
PrefixStorage = Literal["fp32", "fp16", "int8"]
# Buffers up to this size stay inside the graph file; larger ones go to the weights file.
INLINE_BYTES = 4096
GRAPH_ALLOWANCE_BYTES = 16 << 20
FILES = GRAPHS | PREFIX_GRAPH


def export_bundle(
    source: str,
    task_name: str,
    out: Path,
    *,
    storage: Literal["fp32", "fp16"] = "fp32",
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
        storage: how matrices are stored; arithmetic is float32 either way.
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
    _refuse_existing(out, overwrite)
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
    traced = _traced(skeleton, checkpoint, compiled, scope, prefix_storage, notice)
    layout = _state_layout(traced.model, skeleton, checkpoint, targets, rank, adapter_seed)
    phase("building the graphs")
    words = compiled.label_word_ids
    graphs = {"probe": build_probe(traced, layout, words), "eval": build_eval(traced, layout, words)}
    if traced.prefix is not None:
        graphs["prefix"] = build_prefix(traced)
    buffers = _lift_large_buffers(graphs)
    if storage == "fp16":
        # Every A stays float32: it is small, and what a state means must not depend on the storage.
        lora_a = {target.lora_a for target in layout.targets}
        for graph in graphs.values():
            store_half(graph.graph, keep=lora_a)
    graphs["update"] = build_update(layout)
    needed: dict[str, tuple[ir.DataType, tuple[int, ...]]] = {}
    for graph in graphs.values():
        needed |= used_parameters(finish(graph))

    staging, weights_bytes = _staging_folder(out), 0
    try:
        weights = WeightsFile(staging / WEIGHTS, needed)
        weights_bytes = weights.total_bytes
        _require_space(out.parent, weights_bytes)
        phase("writing the weights")
        weights.write(_all_tensors(checkpoint, layout, buffers))
        external = weights.external_tensors()
        for name, graph in graphs.items():
            bind(graph, external)
            ir.save(graph, staging / FILES[name])
        write_durably(staging / TOKENIZER, checkpoint.tokenizer.to_str().encode())
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            seedtune_version=metadata.version("seedtune"),
            model=_model_of(checkpoint, skeleton),
            task=task,
            label_word_ids=tuple(words),
            storage=storage,
            state=layout,
            files={name: describe(staging / name) for name in (*map(FILES.__getitem__, graphs), WEIGHTS, TOKENIZER)},
            prefix=traced.prefix,
        )
        del skeleton
        write_durably(staging / MANIFEST, encode_manifest(manifest))
        if check:
            phase("comparing with transformers")
            manifest = _checked(staging, manifest, check_bundle(staging, checkpoint))
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


def _staging_folder(out: Path) -> Path:
    """A new folder beside ``out``, so that the finished bundle only has to be renamed."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise SeedTuneError(
            f"the output folder cannot be made ({error.strerror})", file=out, remedy="choose another --out"
        ) from error


def _checked(staging: Path, manifest: Manifest, result: CheckResult) -> Manifest:
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    manifest = Manifest(**(fields | {"check": result}))
    write_durably(staging / MANIFEST, encode_manifest(manifest))
    return manifest


def _refuse_existing(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    is_bundle = (out / MANIFEST).is_file()
    is_empty = out.is_dir() and not any(out.iterdir())
    if is_empty or (overwrite and is_bundle):
        return
    raise SeedTuneError(
        "the output folder already exists",
        file=out,
        rule="a new folder, or with --overwrite a folder that holds a bundle",
        remedy="choose another --out" + (", or add --overwrite" if is_bundle else ""),
    )


def _traced(
    skeleton: torch.nn.Module,
    checkpoint: Checkpoint,
    compiled: CompiledTask,
    scope: Scope | None,
    storage: PrefixStorage,
    notice: Phase,
) -> Traced:
    """The model in the scope that was asked for; with no scope given, "all" where the attention cannot be split."""
    if compiled.scope == "suffix":
        try:
            trunk = trace_suffix(skeleton, checkpoint.family, compiled.task.max_tokens)
        except UnsupportedAttention as error:
            if scope == "suffix" or compiled.task.kind == "completion":
                raise SeedTuneError(
                    f"{type(skeleton).__name__} cannot be tuned at the suffix of rows only: {error}",
                    value=scope,
                    rule="attention whose keys and values can be cached",
                    remedy="choose another model" if compiled.task.kind == "completion" else "use --scope all",
                ) from error
            notice(f"scope all: {type(skeleton).__name__} cannot be split, because {error}")
        else:
            layout = PrefixLayout(trunk.layers, trunk.key_heads, trunk.head_size, storage)
            return Traced(trunk.model, checkpoint.family, layout)
    return Traced(trace(skeleton, checkpoint.family), checkpoint.family)


def _state_layout(
    trunk: ir.Model, skeleton: torch.nn.Module, checkpoint: Checkpoint, targets: str, rank: int, adapter_seed: int
) -> StateLayout:
    """Selects among the linears of the trunk; those of the head see one row a side and are left out."""
    head = head_of(skeleton)
    inside_head = {
        f"{prefix}{'.' if inner else ''}{inner}"
        for prefix, module in skeleton.named_children()
        if module is head
        for inner, _ in head.named_modules()
    }
    linears = normalise_linears(trunk.clone().graph)
    vocabulary = checkpoint.config.get_text_config().vocab_size
    usable = [linear for linear in linears if linear.name not in inside_head and linear.out_features != vocabulary]
    return lay_out(select(usable, targets), rank, adapter_seed)


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


def _require_space(folder: Path, weights_bytes: int) -> None:
    needed = weights_bytes + GRAPH_ALLOWANCE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SeedTuneError(
            "the disk has too little room for the bundle",
            file=folder,
            value=f"{free / 1e6:,.0f} MB free",
            rule=f"{needed / 1e6:,.0f} MB",
            remedy="free space, choose another --out, or use --storage fp16",
        )
