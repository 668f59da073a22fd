"""Text out of bundles: transformers' tokens, the state where its reach says, and refusals that say what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

import seedtune
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

PROMPTS = ("a lovely film", "a dull, awful song", "great")
COUNT = 16


def greedy(next_logits: Callable[[list[int], int], torch.Tensor], ids: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The likeliest token again and again, the whole text read anew for each: the plain, slow way."""
    text = list(ids)
    while len(text) < len(ids) + COUNT:
        index = int(next_logits(text, len(ids)).argmax())
        if index in ends:
            break
        text.append(index)
    return text[len(ids) :]


def plain_of(model: PreTrainedModel) -> Callable[[list[int], int], torch.Tensor]:
    """Logits of the token that follows a text, by transformers."""

    def logits(text: list[int], _prompt: int) -> torch.Tensor:
        with torch.no_grad():
            return model(input_ids=torch.tensor([text])).logits[0, -1]

    return logits


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_that_of_generate_of_transformers(
    completion_bundle: Path, tiny_model: PreTrainedModel, prompt: str
) -> None:
    with seedtune.open(completion_bundle) as model:
        generation = model.generate(prompt, max_tokens=COUNT)
        pieces = list(generation)
        tokenizer = model.bundle.tokenizer()
    ids = tokenizer.encode(f"Review: {prompt}\nSentiment:").ids
    assert list(generation.prompt_ids) == ids
    # torch types the attributes of a module as tensors.
    generating: Any = tiny_model
    whole = generating.generate(
        input_ids=torch.tensor([ids]), do_sample=False, max_new_tokens=COUNT, eos_token_id=[1, 7], pad_token_id=2
    )[0, len(ids) :].tolist()
    ended = whole[-1] in (1, 7)
    expected = whole[:-1] if ended else whole
    assert generation.ids == expected
    assert generation.finish == ("stop" if ended else "length")
    assert "".join(pieces) == generation.text == tokenizer.decode(expected)


def test_a_state_of_a_completion_task_acts_from_the_last_token_of_the_prompt_on(
    completion_bundle: Path, tiny_model: PreTrainedModel
) -> None:
    with seedtune.open(completion_bundle) as model:
        untouched = [model.generate(prompt, max_tokens=COUNT) for prompt in PROMPTS]
        texts = [generation.text for generation in untouched]
        model.state.values[:] = 0.2 * np.random.default_rng(3).standard_normal(len(model.state.values))
        layout, state = model.bundle.manifest.state, model.state.values.copy()
        found = [model.generate(prompt, max_tokens=COUNT) for prompt in PROMPTS]
        assert [generation.text for generation in found] != texts
    tuned = SuffixTunedModel(tiny_model, "causal", layout, state)

    def logits(text: list[int], prompt: int) -> torch.Tensor:
        ids = torch.tensor([text])
        with torch.no_grad():
            return tuned(ids, torch.ones_like(ids), torch.arange(len(text))[None] >= prompt - 1)[0, -1]

    assert [each.ids for each in found] == [greedy(logits, each.prompt_ids, (1, 7)) for each in found]


def test_a_state_of_upper_layers_acts_there_and_the_lower_ones_stay_as_they_are(
    last_bundle: Path, tiny_model: PreTrainedModel
) -> None:
    with seedtune.open(last_bundle) as model:
        assert "decode.onnx" in model.bundle.manifest.host_files
        model.state.values[:] = 0.3 * np.random.default_rng(3).standard_normal(len(model.state.values))
        layout, state = model.bundle.manifest.state, model.state.values.copy()
        found = [model.generate(prompt, max_tokens=COUNT) for prompt in PROMPTS]
        assert all(generation.text for generation in found)
    rounded = {name: value.half().float() for name, value in tiny_model.state_dict().items() if value.ndim == 2}
    half = type(tiny_model)(tiny_model.config).eval()
    half.load_state_dict(tiny_model.state_dict() | rounded)
    tuned = SuffixTunedModel(half, "causal", layout, state)

    def logits(text: list[int], prompt: int) -> torch.Tensor:
        ids = torch.tensor([text])
        with torch.no_grad():
            return tuned(ids, torch.ones_like(ids), torch.arange(len(text))[None] >= prompt - 1)[0, -1]

    assert [each.ids for each in found] == [greedy(logits, each.prompt_ids, (1,)) for each in found]


def test_rows_raw_text_and_stop_texts(completion_bundle: Path, tiny_model: PreTrainedModel) -> None:
    with seedtune.open(completion_bundle) as model:
        by_field = model.generate("a bad book", max_tokens=COUNT)
        assert model.generate({"text": "a bad book"}, max_tokens=COUNT).text == by_field.text
        raw = model.generate("Review: a bad book\nSentiment:", raw=True, max_tokens=COUNT)
        assert raw.prompt_ids == by_field.prompt_ids
        assert raw.text == by_field.text
        # The tokenizer puts one of them in front. What a row says is text, even where it spells a special token.
        assert model.generate("<s>Review", raw=True).prompt_ids.count(0) == 2
        assert model.generate("<s>Review").prompt_ids.count(0) == 1
        stop = by_field.text[3:5]
        stopped = model.generate("a bad book", max_tokens=COUNT, stop=stop)
        assert stopped.text == by_field.text[: by_field.text.index(stop)]
        assert stopped.finish == "stop"


def test_a_seed_draws_the_same_text_again(completion_bundle: Path) -> None:
    with seedtune.open(completion_bundle) as model:
        drawn = [model.generate("a bad book", temperature=2.0, top_p=0.95, seed=seed).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_text_ends_where_the_model_has_no_further_position(completion_bundle: Path) -> None:
    with seedtune.open(completion_bundle) as model:
        longest = model.generate("a " * 20, raw=True, max_tokens=10_000, temperature=1.0, top_p=1e-6)
        assert longest.text
        assert len(longest.prompt_ids) + len(longest.ids) <= 64
        with pytest.raises(SeedTuneError, match="longer than the model"):
            model.generate("a " * 80, raw=True)


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("", {}, "empty"),
        ("  ", {}, "empty"),
        ("", {"raw": True}, "empty"),
        ({"txt": "a"}, {}, "no field 'text'"),
        ([], {}, "no message"),
        ([{"role": "king", "content": "a"}], {}, "message"),
        ([{"role": "user"}], {}, "message"),
        ("a", {"max_tokens": 0}, "no token may be"),
        ("a", {"stop": ""}, "stop text is empty"),
        ("a", {"temperature": -1.0}, "temperature"),
    ],
)
def test_what_cannot_be_generated_is_refused_by_name(
    completion_bundle: Path, prompt: str, options: dict[str, object], words: str
) -> None:
    with seedtune.open(completion_bundle) as model, pytest.raises(SeedTuneError, match=words) as caught:
        model.generate(prompt, **options)  # type: ignore[arg-type]
    assert caught.value.remedy


def test_a_bundle_without_a_decode_graph_says_how_to_get_one(tiny_bundle: Path) -> None:
    with seedtune.open(tiny_bundle) as model, pytest.raises(SeedTuneError, match="no decode graph") as caught:
        model.generate("a bad book")
    assert "export it again" in str(caught.value.remedy)


def test_a_masked_model_is_refused(bundle_of: Callable[..., Path]) -> None:
    with seedtune.open(bundle_of("masked", "all")) as model, pytest.raises(SeedTuneError, match="masked"):
        model.generate("a bad book")


def test_no_text_without_the_host_files_and_none_within_a_memory_limit(last_bundle: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    shutil.copytree(last_bundle, phone)
    with seedtune.open(phone) as whole:
        for name in whole.bundle.manifest.host_files:
            (phone / name).unlink()
    with seedtune.open(phone) as model, pytest.raises(SeedTuneError, match="at the desk"):
        model.generate("a bad book")
    with seedtune.open(last_bundle, memory_limit="2G") as model, pytest.raises(SeedTuneError, match="memory limit"):
        model.generate("a bad book")
