"""The manifest of a bundle: everything about it that is not a tensor, a graph or a tokenizer.

``manifest.json`` is written last and lists size and SHA-256 of every other file, so its own hash identifies the
bundle. See docs/reference/bundle.md for the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of
from seedtune.runtime.noise import BITS_PER_WORD
from seedtune.runtime.task.structure import Scope, Task

FORMAT_VERSION = 5
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
TOKENIZER = "tokenizer.json"
GRAPHS = {"probe": "probe.onnx", "eval": "eval.onnx", "update": "update.onnx"}
MAX_PREFIX_DIMENSION = 1 << 16
# How matrices are stored; int8 also multiplies in 8 bits, the others in float32.
Storage = Literal["fp32", "fp16", "bf16", "int8", "int4"]
# How keys and values of a prefix are stored.
PrefixStorage = Literal["fp32", "fp16", "int8"]
PREFIX_GRAPH = {"prefix": "prefix.onnx"}
# -> their dtype in numpy.
PREFIX_TYPES: dict[PrefixStorage, str] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A linear layer that carries trainable state: B [out_features, rank] at ``offset`` of the flat state.

    ``lora_a`` names the fixed A [rank, in_features] in the weights file; targets that read the same rows share it.
    """

    name: str
    lora_a: str
    offset: int
    out_features: int
    in_features: int
    rank: int


class StateLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where each target's B lies in the flat state of ``parameters`` (n, a multiple of 32) float32 values."""

    parameters: int
    rank: int
    adapter_seed: int
    targets: tuple[Target, ...]


class PrefixLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the keys and values of one prefix of P tokens are: twice [layers, key_heads, P, head_size], as stored.

    ``storage`` int8 adds twice [layers, key_heads, P] float16 scales.
    """

    layers: int
    key_heads: int
    head_size: int
    storage: PrefixStorage

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token of a prefix."""
        of_head = self.head_size * np.dtype(PREFIX_TYPES[self.storage]).itemsize + (2 if self.storage == "int8" else 0)
        return 2 * self.layers * self.key_heads * of_head


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was exported, and what a tokenised row must keep to."""

    source: str
    architecture: str
    family: Literal["causal", "masked"]
    parameters: int
    hidden_size: int
    vocabulary_size: int
    max_positions: int
    padding_id: int
    mask_token: str | None
    unknown_token: str | None
    end_token: str | None = None


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and SHA-256 of one file of the bundle."""

    size_bytes: int
    sha256: str


def describe(path: Path) -> FileEntry:
    """Size and SHA-256 of the file at ``path``."""
    return FileEntry(path.stat().st_size, sha256_of(path))


class CheckResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``--check`` measured against transformers: the largest absolute differences, and what was allowed."""

    rows: int
    log_probability_error: float
    perturbed_loss_error: float
    allowed: float


class LanguageModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="language_model"):
    """A language model that is asked a task.

    ``label_word_ids`` are those of the label words, in the order of the labels; none for a completion task. ``prefix``
    is None where the state acts at every token (scope "all").
    """

    model: Model
    task: Task
    label_word_ids: tuple[int, ...]
    prefix: PrefixLayout | None = None

    @property
    def scope(self) -> Scope:
        """Where the state acts: at the last tokens of a row, its suffix, or at all of them."""
        return "all" if self.prefix is None else "suffix"

    @property
    def scores(self) -> Literal["log_probabilities", "token_accuracy"]:
        """The output of the eval graph that rows are scored by."""
        return "token_accuracy" if self.task.kind == "completion" else "log_probabilities"

    @property
    def graphs(self) -> dict[str, str]:
        """Graph -> its file."""
        return GRAPHS if self.prefix is None else GRAPHS | PREFIX_GRAPH


# What a bundle's graphs compute a loss of, by ``kind``: a closed union, one member so far.
Objective = LanguageModel
OBJECTIVES: tuple[type[Objective], ...] = (LanguageModel,)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole manifest, as stored."""

    format_version: int
    seedtune_version: str
    objective: Objective
    storage: Storage
    state: StateLayout
    files: dict[str, FileEntry]
    check: CheckResult | None = None

    @property
    def graphs(self) -> dict[str, str]:
        """Graph -> its file."""
        return self.objective.graphs


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as readable JSON with a fixed order of keys."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(raw: bytes, path: Path) -> Manifest:
    """Parses and checks a manifest.

    Raises:
        SeedTuneError: no JSON, a newer format version, a missing or unknown field, or a state layout that does not
            add up.
    """
    try:
        version = msgspec.json.decode(raw, type=_Versioned).format_version
    except msgspec.DecodeError as error:
        raise SeedTuneError(
            f"the manifest cannot be read ({error})",
            file=path,
            rule="a bundle's manifest.json as seedtune export writes it",
            remedy="export the bundle again",
        ) from error
    if version != FORMAT_VERSION:
        raise SeedTuneError(
            "the bundle was written in a format that this version does not read",
            file=path,
            value=version,
            rule=f"format_version {FORMAT_VERSION}",
            remedy="upgrade seedtune" if version > FORMAT_VERSION else "export the bundle again with this version",
        )
    _require_known_objective(raw, path)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except SeedTuneError as error:
        what = f"the task in the manifest cannot be used: {error.what}"
        raise error.at(path, what, "export the bundle again") from error
    except msgspec.DecodeError as error:
        raise SeedTuneError(
            f"the manifest does not follow its format ({error})",
            file=path,
            rule=f"format version {version}, see docs/reference/bundle.md",
            remedy="export the bundle again",
        ) from error
    _check_layout(manifest.state, path)
    if manifest.objective.prefix is not None:
        _check_prefix(manifest.objective.prefix, path)
    return manifest


class _Versioned(msgspec.Struct):
    format_version: int


class _OfKind(msgspec.Struct):
    kind: str = ""


class _WithObjective(msgspec.Struct):
    objective: _OfKind


def _require_known_objective(raw: bytes, path: Path) -> None:
    try:
        kind = msgspec.json.decode(raw, type=_WithObjective).objective.kind
    except msgspec.DecodeError:
        return  # the whole manifest's own error says more
    known = [str(objective.__struct_config__.tag) for objective in OBJECTIVES]
    if kind not in known:
        raise SeedTuneError(
            "the bundle has an objective that this version does not know",
            file=path,
            value=kind,
            rule=f"kind {' or '.join(known)}",
            remedy="upgrade seedtune",
        )


def _check_layout(layout: StateLayout, path: Path) -> None:
    end = 0
    for target in layout.targets:
        size = target.out_features * target.rank
        if target.offset < end or target.offset % BITS_PER_WORD or size <= 0:
            raise SeedTuneError(
                f"the state layout is inconsistent at target {target.name}",
                file=path,
                value=target.offset,
                rule=f"offsets are multiples of {BITS_PER_WORD}, in order, without overlap",
                remedy="export the bundle again",
            )
        end = target.offset + size
    if layout.parameters % BITS_PER_WORD or end > layout.parameters or not layout.targets:
        raise SeedTuneError(
            "the state layout does not fit its size",
            file=path,
            value=layout.parameters,
            rule=f"a multiple of {BITS_PER_WORD}, at least {end}",
            remedy="export the bundle again",
        )


def _check_prefix(layout: PrefixLayout, path: Path) -> None:
    sizes = (layout.layers, layout.key_heads, layout.head_size)
    if not all(0 < size <= MAX_PREFIX_DIMENSION for size in sizes):
        raise SeedTuneError(
            "the prefix layout is out of range",
            file=path,
            value=sizes,
            rule=f"layers, key heads and head size from 1 to {MAX_PREFIX_DIMENSION}",
            remedy="export the bundle again",
        )
