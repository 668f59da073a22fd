"""Completion tasks: which tokens are the prompt's, which are learnt, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import parse_task
from seedtune.runtime.task.structure import Task

TEXT = """\
name = "answers"
kind = "completion"
template = "Q: {question}\\nA:"
response = " {answer}"
max_tokens = 64
"""
ROW = {"question": "what is it", "answer": "positive it is"}


def task_of(**changes: object) -> Task:
    """The task above with some lines changed."""
    return parse_task(
        "\n".join(line for line in TEXT.splitlines() if line.split(" ")[0] not in changes)
        + "\n"
        + "\n".join(f"{name} = {value}" for name, value in changes.items()),
        "task.toml",
    )


def compiled(tokenizer: Tokenizer, task: Task | None = None, end: str | None = "</s>") -> CompiledTask:
    """The task for a causal model."""
    return CompiledTask(
        task or task_of(), tokenizer, "causal", None, "<unk>", 512, "suffix", end, vocabulary_size=10**6
    )


def test_every_token_of_the_response_and_the_end_is_foreseen_by_the_one_before_it(causal_tokenizer: Tokenizer) -> None:
    encoded = compiled(causal_tokenizer).encode(ROW)
    whole = [*causal_tokenizer.encode("Q: what is it\nA: positive it is").ids, causal_tokenizer.token_to_id("</s>")]
    prompt = causal_tokenizer.encode("Q: what is it\nA:").ids
    assert encoded.ids.tolist() == whole[:-1]
    assert encoded.suffix is not None
    assert encoded.targets is not None
    assert encoded.targets.tolist() == whole[len(prompt) :]
    assert encoded.suffix.tolist() == list(range(len(prompt) - 1, len(whole) - 1))


def test_a_model_without_an_end_token_learns_the_response_alone(causal_tokenizer: Tokenizer) -> None:
    encoded = compiled(causal_tokenizer, end=None).encode(ROW)
    assert encoded.targets is not None
    assert causal_tokenizer.decode(encoded.targets.tolist()) == " positive it is"


def test_a_token_across_the_border_belongs_to_the_response(causal_tokenizer: Tokenizer) -> None:
    # " positive" is one token; behind a prompt that ends with its space and first letter it cannot be split there.
    task = task_of(template='"Q: {question} po"', response='"{answer}"')
    row = {"question": "is it", "answer": "sitive"}
    encoded = compiled(causal_tokenizer, task).encode(row)
    prompt = causal_tokenizer.encode("Q: is it po").ids
    assert encoded.suffix is not None
    assert encoded.targets is not None
    assert len(encoded.ids) + 1 == len(encoded.suffix) + encoded.suffix[0] + 1
    assert encoded.suffix[0] < len(prompt) - 1
    assert encoded.ids[: encoded.suffix[0] + 1].tolist() == prompt[: encoded.suffix[0] + 1]
    assert causal_tokenizer.id_to_token(encoded.targets[0]) == "\u0120positive"


def test_a_long_prompt_loses_its_right_end_and_the_response_stays(causal_tokenizer: Tokenizer) -> None:
    task = task_of(max_tokens="24")
    encoded = compiled(causal_tokenizer, task).encode(ROW | {"question": "abc " * 40})
    assert encoded.truncated_tokens > 0
    assert len(encoded.ids) <= 24
    assert encoded.targets is not None
    assert causal_tokenizer.decode(encoded.targets.tolist()) == " positive it is"


def test_special_tokens_written_in_a_response_are_plain_text(causal_tokenizer: Tokenizer) -> None:
    encoded = compiled(causal_tokenizer).encode(ROW | {"answer": "</s></s>"})
    assert encoded.targets is not None
    end = causal_tokenizer.token_to_id("</s>")
    assert np.flatnonzero(encoded.targets == end).tolist() == [len(encoded.targets) - 1]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"response": '""'}, "no field"),
        ({"response": '"yes"'}, "no field"),
        ({"response": '"{question}"'}, "shows the model the response"),
        ({"response": '"{mask}{answer}"'}, "{mask}"),
        ({"labels": '[{value = "0", word = " a"}, {value = "1", word = " b"}]'}, "no labels"),
    ],
)
def test_a_task_that_is_none_is_refused(changes: dict[str, str], part: str) -> None:
    with pytest.raises(SeedTuneError) as refused:
        task_of(**changes)
    assert part in str(refused.value)


def test_a_classification_task_has_no_response() -> None:
    labels = '[{value = "0", word = " a"}, {value = "1", word = " b"}]'
    with pytest.raises(SeedTuneError, match="no response"):
        task_of(kind='"classification"', labels=labels)


def test_masked_models_and_scope_all_are_refused(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="masked language model cannot"):
        task_of().for_family("masked")
    with pytest.raises(SeedTuneError, match="responses only"):
        CompiledTask(task_of(), causal_tokenizer, "causal", None, "<unk>", 512, "all", None, vocabulary_size=10**6)
