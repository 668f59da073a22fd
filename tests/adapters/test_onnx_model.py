"""A tuned classifier as one ONNX model: plain ONNX Runtime gives the bundle's own predictions, whatever the reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

import seedtune as face
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

TEXTS = ("a lovely film", "a dull song, and an awful one", "great")


def probabilities(folder: Path, texts: tuple[str, ...]) -> np.ndarray:
    """What somebody computes who has the folder and nothing of this package, all texts in one padded call."""
    about = json.loads((folder / "labels.json").read_text("utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [tokenizer.encode(about["template"].format(text=text, mask="<mask>")).ids for text in texts]
    width = max(map(len, rows))
    ids = np.array([row + [2] * (width - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input_ids", "attention_mask"]
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("family", "scope", "layers"),
    [("causal", "all", None), ("causal", "suffix", None), ("causal", "last", 1), ("masked", "all", None)],
)
def test_plain_onnx_runtime_gives_the_predictions_of_the_bundle(
    bundle_of: Callable[..., Path], tmp_path: Path, family: str, scope: str, layers: int | None
) -> None:
    with face.open(bundle_of(family, scope, "fp32", "fp32", layers)) as model:
        untouched = model.predict([{"text": text} for text in TEXTS])
        model.state.values[:] = 0.2 * np.random.default_rng(3).standard_normal(len(model.state.values))
        expected = np.array([list(each.values()) for each in model.predict([{"text": text} for text in TEXTS])])
        face.merge(model, out=tmp_path / "classifier", form="onnx")
    assert np.abs(expected - np.array([list(each.values()) for each in untouched])).max() > 0.05
    np.testing.assert_allclose(probabilities(tmp_path / "classifier", TEXTS), expected, atol=2e-5)
    # A text alone gets the same answer as beside longer ones.
    alone = probabilities(tmp_path / "classifier", TEXTS[2:])
    np.testing.assert_allclose(alone, expected[2:], atol=2e-5)


def test_what_one_pass_cannot_say_is_refused(bundle_of: Callable[..., Path], tmp_path: Path) -> None:
    with face.open(bundle_of("masked", "suffix")) as model, pytest.raises(SeedTuneError, match="two passes") as caught:
        face.merge(model, out=tmp_path / "classifier", form="onnx")
    assert "seedtune predict" in str(caught.value.remedy)
    assert not list(tmp_path.iterdir())
