"""The manifest of a bundle: everything about it that is not a tensor, a graph or a tokenizer.

``manifest.json`` is written last and lists size and SHA-256 of every other file, so its own hash identifies the
bundle. See docs/reference/bundle.md for the format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from seedtune.runtime.bundle.objective import LanguageModel, Objective, require_known_objective
from seedtune.runtime.decoding import decoded
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of
from seedtune.runtime.noise import BITS_PER_WORD
from seedtune.runtime.task.structure import MAX_SIZE

FORMAT_VERSION = 6
MANIFEST = "manifest.json"
REMEDY = "export the bundle again"
MAX_SEED = 2**32 - 1
# How matrices are stored; int8 also multiplies in 8 bits, the others in float32.
Storage = Literal["fp32", "fp16", "bf16", "int8", "int4"]


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


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A linear head on the hidden state: from ``offset`` of the flat state on W [labels, features], b [labels], s [1].

    Scores are ``(1 + s) lm + W u + b`` with lm those of the language-model head and u the hidden state at unit length.
    """

    offset: int
    labels: int
    features: int

    @property
    def parameters(self) -> int:
        """Values of the state that it takes."""
        return self.labels * (self.features + 1) + 1


class StateLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where each target's B lies in the flat state of ``parameters`` (n, a multiple of 32) float32 values.

    The head, if there is one, lies behind them.
    """

    parameters: int
    rank: int
    adapter_seed: int
    targets: tuple[Target, ...]
    head: Head | None = None


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


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole manifest, as stored; ``host_files`` are those of ``files`` that a phone with a cache may lack."""

    format_version: int
    seedtune_version: str
    objective: Objective
    storage: Storage
    state: StateLayout
    files: dict[str, FileEntry]
    host_files: tuple[str, ...] = ()
    check: CheckResult | None = None

    @property
    def host_bytes(self) -> int:
        """Bytes of the host files."""
        return sum(self.files[name].size_bytes for name in self.host_files)

    @property
    def phone_bytes(self) -> int:
        """Bytes of the files that every device needs."""
        return sum(entry.size_bytes for entry in self.files.values()) - self.host_bytes

    @property
    def graphs(self) -> dict[str, str]:
        """Graph -> its file; one that a bundle may have only where the manifest lists its file."""
        optional = self.objective.optional_graphs
        return self.objective.graphs | {name: file for name, file in optional.items() if file in self.files}

    @property
    def language_model(self) -> LanguageModel:
        """The objective of a bundle that is about text, for whatever is.

        Raises:
            SeedTuneError: it is another one.
        """
        if isinstance(self.objective, LanguageModel):
            return self.objective
        raise SeedTuneError(
            "this bundle has heads over features, and no text",
            value=f"objective {self.objective.name}",
            rule="a bundle of a language model",
            remedy="a bundle of heads takes: seedtune run, eval, report, replay and journal",
        )


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as readable JSON with a fixed order of keys."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(raw: bytes, path: Path) -> Manifest:
    """Parses and checks a manifest.

    Raises:
        SeedTuneError: no JSON, a newer format version, a missing or unknown field, or a state layout that does not
            add up.
    """
    rule = "a bundle's manifest.json as seedtune export writes it"
    version = decoded(raw, _Versioned, path, "the manifest cannot be read", rule, REMEDY).format_version
    if version != FORMAT_VERSION:
        raise SeedTuneError(
            "the bundle was written in a format that this version does not read",
            file=path,
            value=version,
            rule=f"format_version {FORMAT_VERSION}",
            remedy="upgrade seedtune" if version > FORMAT_VERSION else f"{REMEDY} with this version",
        )
    require_known_objective(raw, path)
    rule = f"format version {version}, see docs/reference/bundle.md"
    try:
        manifest = decoded(raw, Manifest, path, "the manifest does not follow its format", rule, REMEDY)
    except SeedTuneError as error:
        if error.file is not None:
            raise
        what = f"the task in the manifest cannot be used: {error.what}"
        raise error.at(path, what, REMEDY) from error
    labels = manifest.objective.label_word_ids if isinstance(manifest.objective, LanguageModel) else ()
    _check_layout(manifest.state, len(labels), path)
    manifest.objective.check(path)
    return manifest


class _Versioned(msgspec.Struct):
    format_version: int


def _check_layout(layout: StateLayout, labels: int, path: Path) -> None:
    end = 0
    for target in layout.targets:
        size = target.out_features * target.rank
        positive = min(target.out_features, target.in_features, target.rank) > 0
        if target.offset < end or target.offset % BITS_PER_WORD or not positive:
            raise SeedTuneError(
                f"the state layout is inconsistent at target {target.name}",
                file=path,
                value=target.offset,
                rule=f"sizes above 0; offsets are multiples of {BITS_PER_WORD}, in order, without overlap",
                remedy=REMEDY,
            )
        end = target.offset + size
    if layout.head is not None:
        end = _end_of_head(layout.head, end, labels, path)
    # What is larger than its targets need would only be memory.
    fits = end <= layout.parameters < end + BITS_PER_WORD and layout.parameters <= MAX_SIZE
    if layout.parameters % BITS_PER_WORD or not fits or not layout.targets:
        raise SeedTuneError(
            "the state layout does not fit its size",
            file=path,
            value=layout.parameters,
            rule=f"a multiple of {BITS_PER_WORD}, at least {end}, and no more than that takes",
            remedy=REMEDY,
        )
    if not 0 <= layout.adapter_seed <= MAX_SEED:
        raise SeedTuneError(
            "the seed of the adapters is out of range",
            file=path,
            value=layout.adapter_seed,
            rule=f"0 to {MAX_SEED}",
            remedy=REMEDY,
        )


def _end_of_head(head: Head, end: int, labels: int, path: Path) -> int:
    fits = end <= head.offset < end + BITS_PER_WORD and head.offset % BITS_PER_WORD == 0
    if not fits or head.labels != labels or not labels or not 0 < head.features <= MAX_SIZE:
        raise SeedTuneError(
            "the state layout is inconsistent at its head",
            file=path,
            value=f"{head.labels} labels of {head.features} features at {head.offset}",
            rule=f"one row for each of {labels} labels, right behind the targets at a multiple of {BITS_PER_WORD}",
            remedy=REMEDY,
        )
    return head.offset + head.parameters
