"""One tiny model in every form that a tuned state leaves in, and its greedy text, beside transformers' own.

The reference is transformers' model of the same checkpoint with ``W + B A`` in place of each target's weight, and rows
alone. A difference is relative: the largest over a row's logits, over the largest logit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
import transformers
from peft import PeftModel

import seedtune
from bench.generate import greedy, of_transformers
from families import oracle
from families.architectures import Architecture
from families.checkpoints import NotTiny, save
from families.texts import VOCABULARY
from families.tiny import tiny_config
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.decoder import Decoder
from seedtune.runtime.task.example import Example

FORMS = ("peft", "merged", "onnx")
Logits = list[npt.NDArray[np.float32]]
# No row and no text is longer, so that a sliding window hides nothing; the widest state that moves a tiny model well.
WINDOW, SCALE, LONGEST_PROMPT = 128, 0.05, 12


@dataclass
class Found:
    """What came of a family.

    Attributes:
        key: of its architecture.
        differences: form -> the largest relative difference of a logit.
        refusals: form -> why there is none.
        moved: how far the state moves the logits, relative; else equal logits would say little.
        same: greedy texts that are transformers' own.
        texts: that were compared; 0 for a masked model.
    """

    key: str
    differences: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    moved: float = 0.0
    same: int = 0
    texts: int = 0


def compare(architecture: Architecture, folder: Path, prompts: int, tokens: int) -> Found:
    """Exports ``architecture`` in tiny into ``folder``, which is empty, and compares; a refusal is told.

    Args:
        architecture: which.
        folder: for everything that is made.
        prompts: that a causal model goes on with.
        tokens: of each text.
    """
    found = Found(architecture.key)
    try:
        _compare(architecture, folder, prompts, tokens, found)
    except (NotTiny, SeedTuneError) as error:
        found.refusals["all"] = " ".join(str(error).split())[:300]
    return found


def _compare(architecture: Architecture, folder: Path, prompts: int, tokens: int, found: Found) -> None:
    checkpoint = save(architecture, tiny_config(architecture, WINDOW), folder / "checkpoint")
    causal = architecture.family == "causal"
    options: dict[str, Any] = {"scope": "all", "targets": "all", "rank": 4, "check": False, "decode": causal}
    seedtune.export(checkpoint, task=checkpoint / "task.toml", out=folder / "bundle", **options)
    with seedtune.open(folder / "bundle", threads=1) as model:
        layout = model.bundle.manifest.state
        state = SCALE * np.random.default_rng(5).standard_normal(layout.parameters)
        # Neither adapter nor checkpoint has a place for a head.
        state[layout.head.offset if layout.head else len(state) :] = 0
        model.state.values[:] = state.astype(np.float32)
        task = model.bundle.compiled_task()
        rows = [task.encode(row.fields, 0) for row in model.rows(checkpoint / "rows.jsonl")]

        def opened(place: Path = checkpoint) -> Any:
            return getattr(transformers, architecture.name).from_pretrained(str(place), dtype=torch.float32).eval()

        tuned = opened()
        plain = logits_of(tuned, rows)
        with torch.no_grad():
            oracle.merge(tuned, model.bundle.manifest, model.state.values)
        expected = logits_of(tuned, rows)
        found.moved = relative(plain, expected)
        words = list(model.bundle.manifest.language_model.label_word_ids)
        of_labels = [each[row.position][words] for each, row in zip(expected, rows, strict=True)]

        def by_peft() -> float:
            seedtune.adapter(model, out=folder / "peft")
            return relative(logits_of(PeftModel.from_pretrained(opened(), str(folder / "peft")), rows), expected)

        def by_checkpoint() -> float:
            seedtune.merge(model, out=folder / "merged")
            return relative(logits_of(opened(folder / "merged"), rows), expected)

        def by_onnx() -> float:
            seedtune.merge(model, out=folder / "onnx", form="onnx")
            return relative(onnx_logits(folder / "onnx" / "model.onnx", rows), of_labels)

        for form, way in zip(FORMS, (by_peft, by_checkpoint, by_onnx), strict=True):
            _note(found, form, way)
        if causal:
            decoder = Decoder.open(model.bundle)
            draw = np.random.default_rng(11)
            asked = [draw.integers(5, VOCABULARY, 1 + place % LONGEST_PROMPT).tolist() for place in range(prompts)]
            wanted = of_transformers(model.bundle, asked, tokens)
            found.texts = prompts
            found.same = sum(greedy(decoder, one, tokens) == text for one, text in zip(asked, wanted, strict=True))


def _note(found: Found, form: str, way: Callable[[], float]) -> None:
    try:
        found.differences[form] = way()
    except SeedTuneError as error:
        found.refusals[form] = " ".join(error.what.split())


def logits_of(model: Any, rows: Sequence[Example]) -> Logits:
    """[T, V] of each row, alone."""
    with torch.no_grad():
        return [model(input_ids=torch.tensor(row.ids)[None]).logits[0].float().numpy() for row in rows]


def onnx_logits(path: Path, rows: Sequence[Example]) -> Logits:
    """[L] of each row, alone, by plain ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ids = [np.array(row.ids, np.int64)[None] for row in rows]
    return [session.run(["logits"], {"input_ids": each, "attention_mask": np.ones_like(each)})[0][0] for each in ids]


def relative(found: Logits, expected: Logits) -> float:
    """The largest difference over the largest logit, of the row where that is worst."""
    pairs = zip(found, expected, strict=True)
    return float(max(np.abs(one - other).max() / np.abs(other).max() for one, other in pairs))
