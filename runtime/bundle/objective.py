"""What the graphs of a bundle compute a loss of: a closed union of objectives, told apart by their ``kind``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from seedtune.runtime.bundle.heads import FeatureHeads
from seedtune.runtime.bundle.stage_plan import STAGES
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import MAX_SIZE, Scope, Task

GRAPHS = {"probe": "probe.onnx", "eval": "eval.onnx", "update": "update.onnx"}
MAX_CONTEXT_DIMENSION = 1 << 16
MAX_PARAMETERS = 2**63 - 1
# How keys and values of a context are stored.
ContextStorage = Literal["fp32", "fp16", "int8"]
CONTEXT_GRAPH = {"context": "context.onnx"}
# Where there is a context, unless a node of the model cannot be differentiated.
GRADIENT_GRAPH = {"gradient": "gradient.onnx"}
# Where the model can go on with a text, token by token.
DECODE, DECODE_GRAPH = "decode", {"decode": "decode.onnx"}
# Of every bundle of a language model, beside its graphs.
WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.json"
FILES = frozenset({WEIGHTS, TOKENIZER, STAGES})
# -> their dtype in numpy.
CONTEXT_TYPES: dict[ContextStorage, str] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


class ContextLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a row of P tokens before those where the state acts, and S tokens where it does.

    Twice [layers, key_heads, P, head_size], the keys and values of the layers with state, as stored; ``storage`` int8
    adds twice [layers, key_heads, P] float16 scales. Where lower layers carry no state, [S, entering] float32 as well:
    the hidden states that enter the first layer that does; ``entering`` is 0 where every layer carries state.
    """

    layers: int
    key_heads: int
    head_size: int
    storage: ContextStorage
    entering: int = 0

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token of a context."""
        of_head = self.head_size * np.dtype(CONTEXT_TYPES[self.storage]).itemsize + (2 if self.storage == "int8" else 0)
        return 2 * self.layers * self.key_heads * of_head

    @property
    def bytes_per_suffix_token(self) -> int:
        """Bytes of what is kept of a token where the state acts."""
        return 4 * self.entering

    def bytes_of(self, context_tokens: int, suffix_tokens: int) -> int:
        """Bytes of what is kept of a row."""
        return context_tokens * self.bytes_per_token + suffix_tokens * self.bytes_per_suffix_token


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


class Decoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What generating text with the graph "decode" needs to know.

    Attributes:
        layers: of the model, each of which has keys and values; all of them, wherever the state acts.
        key_heads: of a layer.
        head_size: of a key and of a value.
        max_tokens: of prompt and response together: the model's positions, or what its attention reaches back to.
        end_ids: the tokens that end a response.
        chat_template: the model's own, in Jinja; None where its author gave none.
        special_tokens: name ("bos_token") -> text, as chat templates call them.
    """

    layers: int
    key_heads: int
    head_size: int
    max_tokens: int
    end_ids: tuple[int, ...] = ()
    chat_template: str | None = None
    special_tokens: dict[str, str] = {}

    @property
    def bytes_per_token(self) -> int:
        """Bytes of the keys and values of one token, float32."""
        return 2 * 4 * self.layers * self.key_heads * self.head_size


class LanguageModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="language_model"):
    """A language model that is asked a task.

    ``label_word_ids`` are those of the label words, in the order of the labels; none for a completion task. ``scope``
    says at which tokens the state acts, and ``context`` what is kept of the others; it is None for scope "all".
    ``decode`` is None for a model that generates no text, and in bundles of an earlier day.
    """

    model: Model
    task: Task
    label_word_ids: tuple[int, ...]
    scope: Scope = "all"
    context: ContextLayout | None = None
    decode: Decoding | None = None

    @property
    def scores(self) -> Literal["log_probabilities", "token_accuracy"]:
        """The output of the eval graph that rows are scored by."""
        return "token_accuracy" if self.task.kind == "completion" else "log_probabilities"

    @property
    def settings(self) -> dict[str, Any]:
        """Options of a run where nothing else is asked for: those of every run."""
        return {}

    @property
    def brings_rows(self) -> bool:
        """Whether the bundle has the rows of its runs; texts are given to each of them."""
        return False

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        return f"scope {self.scope}, {self.model.architecture}, task {self.task.name}"

    @property
    def graphs(self) -> dict[str, str]:
        """Graph -> its file, of those that every bundle of this kind has."""
        graphs = GRAPHS if self.context is None else GRAPHS | CONTEXT_GRAPH
        return graphs if self.decode is None else graphs | DECODE_GRAPH

    @property
    def files(self) -> frozenset[str]:
        """The files beside the graphs that every bundle of this kind has."""
        return FILES

    @property
    def optional_graphs(self) -> dict[str, str]:
        """Graph -> its file, of those that a bundle may have: one with contexts, gradients."""
        return {} if self.context is None else GRADIENT_GRAPH

    def check(self, path: Path) -> None:
        """Raises SeedTuneError where this cannot be; ``path`` is the manifest's."""
        _check(self, path)


# What a bundle's graphs compute a loss of, by ``kind``: a closed union.
Objective = LanguageModel | FeatureHeads
OBJECTIVES: tuple[type[Objective], ...] = (LanguageModel, FeatureHeads)


class _OfKind(msgspec.Struct):
    kind: str = ""


class _WithObjective(msgspec.Struct):
    objective: _OfKind


def require_known_objective(raw: bytes, path: Path) -> None:
    """Raises SeedTuneError where the manifest ``raw`` has an objective that this version does not know."""
    try:
        kind = msgspec.json.decode(raw, type=_WithObjective).objective.kind
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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


def _check(objective: LanguageModel, path: Path) -> None:
    model = objective.model
    for name, size, least, most in (
        ("parameters", model.parameters, 0, MAX_PARAMETERS),
        ("hidden_size", model.hidden_size, 1, MAX_SIZE),
        ("vocabulary_size", model.vocabulary_size, 1, MAX_SIZE),
        ("max_positions", model.max_positions, 1, MAX_SIZE),
        ("padding_id", model.padding_id, 0, model.vocabulary_size - 1),
        *(("label_word_ids", index, 0, model.vocabulary_size - 1) for index in objective.label_word_ids),
        *_ranges_of(objective.decode, model.vocabulary_size),
    ):
        if not least <= size <= most:
            raise SeedTuneError(
                f"the manifest's {name} is out of range",
                file=path,
                value=size,
                rule=f"{least:,} to {most:,}",
                remedy="export the bundle again",
            )
    if objective.decode is not None and model.family != "causal":
        raise SeedTuneError(
            "the manifest says that a masked language model generates text",
            file=path,
            value=model.family,
            rule="a decode graph of a causal model only",
            remedy="export the bundle again",
        )
    layout = objective.context
    if (layout is None) != (objective.scope == "all"):
        raise SeedTuneError(
            "the scope and the context layout do not belong together",
            file=path,
            value=objective.scope,
            rule="a context layout for every scope but all",
            remedy="export the bundle again",
        )
    if layout is None:
        return
    sizes = (layout.layers, layout.key_heads, layout.head_size, layout.entering or 1)
    if not all(0 < size <= MAX_CONTEXT_DIMENSION for size in sizes):
        raise SeedTuneError(
            "the context layout is out of range",
            file=path,
            value=sizes,
            rule=f"layers, key heads, head size and width from 1 to {MAX_CONTEXT_DIMENSION}",
            remedy="export the bundle again",
        )


def _ranges_of(decode: Decoding | None, vocabulary_size: int) -> list[tuple[str, int, int, int]]:
    """Name, value, least and most of what ``decode`` says."""
    if decode is None:
        return []
    sizes = (("layers", decode.layers), ("key_heads", decode.key_heads), ("head_size", decode.head_size))
    return [
        *((f"decode.{name}", size, 1, MAX_CONTEXT_DIMENSION) for name, size in sizes),
        ("decode.max_tokens", decode.max_tokens, 1, MAX_SIZE),
        *(("decode.end_ids", index, 0, vocabulary_size - 1) for index in decode.end_ids),
    ]
