"""What the exporter's tests share: tiny models, their graphs in memory, and their oracle.

Nothing here reads a bundle: graphs are bound to values in memory, and the reference is transformers' own forward pass
with the adapter merged into the weights by plain PyTorch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from graph_lab import session_of
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from seedtune.exporter.checkpoint.skeleton import build_skeleton
from seedtune.exporter.graphs.context import build_context
from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.graphs.gradient import build_gradient
from seedtune.exporter.graphs.probe import build_probe
from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.storage import Reader, store
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.exporter.trace.traced import Traced
from seedtune.exporter.trace.trunk import head_of, trace
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout, Storage
from seedtune.runtime.bundle.objective import ContextLayout, ContextStorage
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.structure import Family

VOCABULARY = 160
WORDS = (23, 57, 91)
LABEL_WORDS = ("terrible", "great")


def random_model(config: PretrainedConfig, family: Family, scale: float = 0.1) -> PreTrainedModel:
    """transformers' model of ``config``, every parameter random: constant biases and norms would hide a mix-up."""
    model = build_skeleton(config, family, "eager")
    assert isinstance(model, PreTrainedModel)
    generator = torch.Generator().manual_seed(20_240_229)
    for name, parameter in model.named_parameters():
        centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        parameter.copy_(centre + torch.randn(parameter.shape, generator=generator) * scale)
    return model


@dataclass
class Export:
    """A model and the graphs made of it, in memory."""

    model: PreTrainedModel
    family: Family
    trunk: ir.Model
    layout: StateLayout
    words: tuple[int, ...]
    storage: Storage = "fp32"
    context: ContextLayout | None = None
    whole: ir.Model | None = None

    def graph(self, name: str) -> ir.Model:
        """The graph "probe", "eval", "gradient" or "update", not yet finished."""
        if name == "update":
            return build_update(self.layout)
        build = {"probe": build_probe, "gradient": build_gradient}.get(name, build_eval)
        traced = Traced(self.trunk, self.family, self.context, self.whole)
        model = build_context(traced) if name == "context" else build(traced, self.layout, self.words)
        if self.storage != "fp32":
            store([Reader(model.graph)], self.storage, keep={target.lora_a for target in self.layout.targets})
        return model

    def tensors(self) -> dict[str, np.ndarray]:
        """Every parameter by its first name, and every A."""
        parameters = {name: value.numpy() for name, value in self.model.named_parameters()}
        buffers = {name: value.numpy() for name, value in self.model.named_buffers()}
        return buffers | parameters | lora_a_values(self.layout)

    def session(self, name: str) -> onnxruntime.InferenceSession:
        """A session over a graph, with the model's own values."""
        return session_of(self.graph(name), self.tensors())


def export_in_memory(
    model: PreTrainedModel,
    family: Family,
    *,
    targets: str = "default",
    rank: int = 4,
    storage: Storage = "fp32",
    context_storage: ContextStorage | None = None,
) -> Export:
    """The cheap route through the exporter: trace and layout, without files; scope "suffix" with a context storage."""
    if context_storage is None:
        trunk, context, whole = trace(model, family), None, None
    else:
        traced = trace_suffix(model, family, 64)
        trunk = whole = traced.model
        context = ContextLayout(traced.layers, traced.key_heads, traced.head_size, context_storage)
    head = {id(module) for module in head_of(model).modules()}
    linears = [
        linear
        for linear in normalise_linears(trunk.clone().graph)
        if id(model.get_submodule(linear.name)) not in head and linear.out_features != VOCABULARY
    ]
    return Export(model, family, trunk, lay_out(select(linears, targets), rank, 7), WORDS, storage, context, whole)


def random_rows(
    family: str, *, rows: int = 4, tokens: int = 9, padding: int = 1, seed: int = 5, labels: int = len(WORDS)
) -> dict[str, np.ndarray]:
    """Rows of different lengths, padded on the right; ids that are no special token."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(max(1, tokens // 3), tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens)[None] < lengths[:, None]).astype(np.int64)
    ids = np.where(mask == 1, generator.integers(5, VOCABULARY, (rows, tokens)), padding)
    position = lengths - 1 if family == "causal" else generator.integers(0, lengths)
    label = generator.integers(0, labels, rows)
    return {"ids": ids, "mask": mask, "position": position.astype(np.int64), "label": label.astype(np.int64)}


def random_state(layout: StateLayout, scale: float = 1e-2, seed: int = 3) -> np.ndarray:
    """A state that is far from zero everywhere, the unused entries between targets included."""
    return (scale * np.random.default_rng(seed).standard_normal(layout.parameters)).astype(np.float32)


def probe_feeds(rows: dict[str, np.ndarray], state: np.ndarray, seed: int, epsilon: float) -> dict[str, np.ndarray]:
    """What a probe graph is fed."""
    shared = {"state": state, "seed": np.array([seed], np.int64), "epsilon": np.array([epsilon], np.float32)}
    return rows | shared


@contextlib.contextmanager
def merged(model: torch.nn.Module, layout: StateLayout, state: np.ndarray) -> Iterator[None]:
    """Within, ``model`` has ``W + B A`` in place of every target's weight."""
    originals: list[tuple[torch.nn.Module, torch.nn.Parameter]] = []
    lora_a = lora_a_values(layout)
    for target in layout.targets:
        layer = model.get_submodule(target.name)
        size = target.out_features * target.rank
        b = state[target.offset : target.offset + size].reshape(target.out_features, target.rank)
        change = torch.from_numpy(b @ lora_a[target.lora_a])
        weight = layer.get_parameter("weight")
        originals.append((layer, weight))
        change = change.T if type(layer).__name__ == "Conv1D" else change
        layer.weight = torch.nn.Parameter(weight + change, requires_grad=False)
    try:
        yield
    finally:
        for layer, weight in reversed(originals):
            layer.weight = weight


def reference(
    export: Export, rows: dict[str, np.ndarray], state: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [B, L] and losses [B] by transformers, with the state merged into the weights."""
    changed = contextlib.nullcontext() if state is None else merged(export.model, export.layout, state)
    with torch.no_grad(), changed:
        logits = export.model(
            input_ids=torch.from_numpy(rows["ids"]), attention_mask=torch.from_numpy(rows["mask"])
        ).logits
    at_label = logits[torch.arange(len(rows["position"])), torch.from_numpy(rows["position"])][:, list(export.words)]
    scores = torch.log_softmax(at_label.float(), dim=-1).numpy()
    return scores, -np.take_along_axis(scores, rows["label"][:, None], 1)[:, 0]


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; NaN counts as infinite."""
    difference = float(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max())
    return difference if np.isfinite(difference) else float("inf")


def check_against_transformers(export: Export, allowed: float, *, padding: int = 1, sensitive: bool = True) -> None:
    """The eval graph at a state, and both sides of the probe graph, against transformers; asserts.

    ``sensitive`` also asserts that the comparison can fail: that the state and the perturbation move the reference
    by much more than is allowed.
    """
    rows = random_rows(export.family, padding=padding)
    state, seed, epsilon = random_state(export.layout, 5e-2), 77, 5e-2
    zero = np.zeros_like(state)
    plain, _ = reference(export, rows)
    session = export.session("eval")
    found = session.run(["log_probabilities"], rows | {"state": zero})[0]
    assert largest_difference(found, plain) <= allowed
    moved, losses = reference(export, rows, state)
    found, found_losses = session.run(["log_probabilities", "loss"], rows | {"state": state})
    assert largest_difference(found, moved) <= allowed
    assert largest_difference(found_losses, losses) <= allowed
    sides = export.session("probe").run(["loss_plus", "loss_minus"], probe_feeds(rows, state, seed, epsilon))
    noise = rademacher(seed, export.layout.parameters)
    expected = [reference(export, rows, state + np.float32(sign * epsilon) * noise)[1] for sign in (1, -1)]
    for side, expected_side in zip(sides, expected, strict=True):
        assert largest_difference(side, expected_side) <= allowed
    if sensitive:
        assert largest_difference(moved, plain) > 5 * allowed
        assert largest_difference(*expected) > 5 * allowed


TASK = """
name = "tiny"
kind = "classification"
template = "review {text} is"
max_tokens = 24

[[labels]]
value = "0"
word = " terrible"

[[labels]]
value = "1"
word = " great"

[masked]
template = "review {text} is {mask}"
"""


def make_tokenizer(padding: str = "<pad>") -> PreTrainedTokenizerFast:
    """Words as tokens; special tokens at RoBERTa's places."""
    words = ["review", "is", "something", *LABEL_WORDS, "good", "bad", "film"]
    vocabulary = {word: index for index, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        pad_token=padding,
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def save_folder(folder: Path, model: PreTrainedModel) -> Path:
    """``model``, a tokenizer and task.toml in ``folder``."""
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    (folder / "task.toml").write_text(TASK)
    return folder
