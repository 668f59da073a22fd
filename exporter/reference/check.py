"""Compares a bundle with transformers' own forward pass, plain and perturbed.

The reference loads the checkpoint by transformers alone; its matrices are replaced, one layer at a time, by what their
stored form stands for (`streamed_model.py`), so that what is compared is the computation and not the rounding of
weights. Two quantities are compared, both over the label words: log-probabilities of the untouched model (eval graph,
state zero), and losses of both sides of a perturbation (probe graph, random state) against a reference whose weights
were changed to ``W + (B +- epsilon Z) A``, or for scope "suffix" one that adds the change at suffix tokens
(`suffix_model.py`); the head of the state is added to both (`label_head.py`). The contexts are those of the context
graph. Then each row is run alone (`rows_alone.py`), and the gradient is held against differences of the probe's losses
(`slope.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.reference.decoding import refuse_wrong_decoding
from seedtune.exporter.reference.label_head import seeing_hidden, with_head
from seedtune.exporter.reference.rows_alone import refuse_dependent_rows
from seedtune.exporter.reference.slope import refuse_wrong_gradient
from seedtune.exporter.reference.streamed_model import StreamedModel
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.exporter.storage.encodings import Encoding
from seedtune.runtime.bundle.manifest import CheckResult, Manifest
from seedtune.runtime.bundle.objective import DECODE
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.example import Example

ROWS, MAX_TOKENS = 4, 24
# Of the row that is as long as the task allows: longer ones would take long.
LONG_TOKENS = 512
EPSILON, SEED, STATE_SCALE = 1e-2, 20240229, 1e-2
# With a wide margin over what the tested families show (below 1e-4; int8, which rounds inputs of layers: below 1e-2).
ALLOWED = {"fp32": 2e-3, "fp16": 2e-3, "bf16": 2e-3, "int8": 1e-1, "int4": 2e-3}
# Rounding of stored keys and values comes on top.
ALLOWED_OF_CONTEXT = {None: 0.0, "fp32": 0.0, "fp16": 2e-2, "int8": 5e-1}


def check_bundle(path: Path, checkpoint: Checkpoint, encodings: Mapping[str, Encoding]) -> CheckResult:
    """Runs the comparison for the bundle at ``path``.

    Args:
        path: the bundle.
        checkpoint: what it was exported from.
        encodings: parameter -> how the bundle stores it.

    Raises:
        SeedTuneError: the bundle and transformers disagree by more than the storage type explains, one of them does not
            run, what is said of a row depends on the rows beside it, or the gradient is not the slope of the loss.
    """
    bundle = Bundle.open(path, verify_weights=False)
    calls, manifest = SingleCalls(bundle), bundle.manifest
    rows = random_rows(manifest)
    reference = StreamedModel(checkpoint, encodings)
    layout = manifest.state
    generator = np.random.default_rng(SEED)
    zero = np.zeros(layout.parameters, np.float32)
    state = (STATE_SCALE * generator.standard_normal(layout.parameters)).astype(np.float32)
    output = "log_probabilities" if manifest.language_model.label_word_ids else "loss"
    with _refusing("the exported graphs do not run"):
        batch = calls.batch(rows, ROWS * MAX_TOKENS)
        rows = [rows[index] for index in batch.index]
        (found,) = calls.outputs("eval", [output], batch, {"state": zero})
    with _refusing("transformers' own model does not run"):
        expected = _plain(reference, manifest, rows)
    plain_error = max(_difference(found, expected), _error_of_a_long_row(calls, reference, output, zero))

    seed, epsilon = np.array([SEED], np.int64), np.array([EPSILON], np.float32)
    perturbed: dict[str, np.ndarray] = {"state": state, "seed": seed, "epsilon": epsilon}
    with _refusing("the exported graphs do not run"):
        sides = calls.outputs("probe", ["loss_plus", "loss_minus"], batch, perturbed)
    noise = rademacher(SEED, layout.parameters)
    perturbed_error = 0.0
    for losses, sign in zip(sides, (1.0, -1.0), strict=True):
        with _refusing("transformers' own model does not run"):
            _, expected = _reference(reference, manifest, rows, state + np.float32(sign * EPSILON) * noise)
        perturbed_error = max(perturbed_error, _difference(losses, expected))

    context_storage = manifest.language_model.context.storage if manifest.language_model.context else None
    allowed = ALLOWED[manifest.storage] + ALLOWED_OF_CONTEXT[context_storage]
    result = CheckResult(ROWS, plain_error, perturbed_error, allowed)
    worst = max(plain_error, perturbed_error)
    if not worst <= result.allowed:
        raise SeedTuneError(
            "the exported graphs do not compute what transformers computes; no bundle was written",
            value=f"log-probabilities differ by {plain_error:.3g}, perturbed losses by {perturbed_error:.3g}",
            rule=f"at most {result.allowed} for storage {manifest.storage}",
            remedy="report the model's name and these figures"
            + ("; --storage fp32 may help" if manifest.storage != "fp32" else ""),
        )
    with _refusing("the exported graphs do not run"):
        refuse_dependent_rows(calls, rows, output, zero, found)
        if "gradient" in manifest.graphs:
            refuse_wrong_gradient(calls, rows, state)
        if DECODE in manifest.graphs:
            refuse_wrong_decoding(bundle, reference, rows, state, ALLOWED[manifest.storage])
    return result


def _error_of_a_long_row(calls: SingleCalls, reference: StreamedModel, output: str, zero: np.ndarray) -> float:
    """The same for one row as long as the task allows: what a model does by chunks or windows shows in no short row."""
    manifest = calls.bundle.manifest
    longest = min(manifest.language_model.task.max_tokens, manifest.language_model.model.max_positions, LONG_TOKENS)
    if longest <= MAX_TOKENS:
        return 0.0
    rows = random_rows(manifest, [longest])
    with _refusing("the exported graphs do not run"):
        (found,) = calls.output_of_each("eval", output, rows, {"state": zero})
    with _refusing("transformers' own model does not run"):
        return _difference(found, _plain(reference, manifest, rows))


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Whatever ONNX Runtime or transformers raises on rows that every model takes is a refusal of this model."""
    try:
        yield
    except SeedTuneError:
        raise
    except Exception as error:
        raise SeedTuneError(
            f"{what}; no bundle was written",
            value=f"{type(error).__name__}: {' '.join(str(error).split())}",
            rule="rows of random tokens, as long as the task allows",
            remedy="report the model's name and this message",
        ) from error


def random_rows(manifest: Manifest, lengths: Sequence[int] | None = None) -> list[Example]:
    """Rows of ``lengths``, or of different short ones, with random token ids, split where the bundle splits rows."""
    generator = np.random.default_rng(SEED)
    if lengths is None:
        longest = min(MAX_TOKENS, manifest.language_model.model.max_positions)
        lengths = generator.integers(max(2, longest // 3), longest + 1, ROWS).tolist()
    causal = manifest.language_model.model.family == "causal"
    rows = []
    for length in lengths:
        drawn = generator.integers(0, manifest.language_model.model.vocabulary_size, 4 * length)
        ids = generator.choice(np.setdiff1d(drawn, [manifest.language_model.model.padding_id]), length)
        position = length - 1 if causal else generator.integers(0, length)
        suffix = None
        if manifest.language_model.scope == "last":
            suffix = np.array([position], np.int64)
        elif manifest.language_model.scope == "suffix":
            count = generator.integers(1, max(2, length // 2))
            # Of a masked row any place may be in the suffix.
            places = np.arange(length - count, length) if causal else generator.choice(length, count, replace=False)
            suffix = np.union1d(places, [position]).astype(np.int64)
        if not manifest.language_model.label_word_ids:
            assert suffix is not None
            targets = generator.integers(0, manifest.language_model.model.vocabulary_size, len(suffix))
            rows.append(Example(ids.astype(np.int64), int(position), 0, suffix, targets))
            continue
        label = generator.integers(0, len(manifest.language_model.label_word_ids))
        rows.append(Example(ids.astype(np.int64), int(position), int(label), suffix))
    return rows


def _plain(reference: StreamedModel, manifest: Manifest, rows: Sequence[Example]) -> np.ndarray:
    """What the eval graph gives for ``rows`` without a state, by transformers."""
    scores, losses = _reference(reference, manifest, rows, None)
    return scores if manifest.language_model.label_word_ids else losses


def _reference(
    reference: StreamedModel, manifest: Manifest, rows: Sequence[Example], state: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and losses by transformers; ``state`` None for none.

    Log-softmax over the label words at the label position [B, L] and its losses [B]; of a completion task an empty
    array, and the mean loss of each response [B].
    """
    ids = pad_sequence([torch.from_numpy(row.ids) for row in rows], True, manifest.language_model.model.padding_id)
    mask = pad_sequence([torch.ones(len(row.ids), dtype=torch.int64) for row in rows], True)
    words = list(manifest.language_model.label_word_ids)
    with torch.no_grad(), seeing_hidden(reference.model) as hidden:
        if state is not None and manifest.language_model.scope != "all":
            suffix = torch.zeros(ids.shape, dtype=torch.bool)
            for place, row in enumerate(rows):
                suffix[place, row.suffix] = True
            tuned = SuffixTunedModel(reference.model, manifest.language_model.model.family, manifest.state, state)
            logits = tuned(ids, mask, suffix)
        else:
            reference.set_state(manifest.state, state)
            options = {"use_cache": False} if manifest.language_model.model.family == "causal" else {}
            logits = reference(input_ids=ids, attention_mask=mask, **options).logits
    if not words:
        every = torch.log_softmax(logits.float(), dim=-1).numpy()
        losses = [-every[place, row.suffix, row.targets].mean() for place, row in enumerate(rows)]
        return np.empty(0), np.array(losses)
    scored = torch.arange(len(rows)), torch.tensor([row.position for row in rows])
    of_words = logits[scored][:, words].float()
    if manifest.state.head is not None and state is not None:
        of_words = with_head(of_words, hidden.value[scored], manifest.state.head, torch.from_numpy(state))
    scores = torch.log_softmax(of_words, dim=-1).numpy()
    return scores, -scores[np.arange(len(rows)), [row.label for row in rows]]


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; NaN counts as infinite."""
    difference = float(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max())
    return difference if np.isfinite(difference) else float("inf")
