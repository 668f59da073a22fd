"""Templates and label words that were tried for every task, by zero-shot accuracy on validation rows.

What was best stands in the task's file; reviews have the built-in task, which was chosen so before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import torch

from lab.accuracy.corpora import Corpus
from lab.accuracy.language_model import LanguageModel, by_length, encoded
from lab.accuracy.method import measured
from seedtune.runtime.task.structure import Task

ROWS_A_CALL = 32
# Task -> (template, words in the order of the labels).
CANDIDATES: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "reviews": [
        ("Review: {text}\nSentiment:", (" negative", " positive")),
        ("{text} It was", (" terrible", " great")),
    ],
    "irony": [
        ("Tweet: {text}\nTone:", (" serious", " ironic")),
        ("Tweet: {text}\nTone:", (" sincere", " mocking")),
        ("Tweet: {text}\nIs this tweet ironic?", (" No", " Yes")),
        ("Tweet: {text}\nQuestion: Is this tweet sarcastic?\nAnswer:", (" No", " Yes")),
        ("Tweet: {text}\nThis tweet is", (" serious", " ironic")),
        ("Tweet: {text}\nThis tweet is", (" literal", " ironic")),
    ],
    "tweet-sentiment": [
        ("Tweet: {text}\nSentiment:", (" negative", " neutral", " positive")),
        ("Tweet: {text}\nSentiment:", (" bad", " neutral", " good")),
        ("Tweet: {text}\nThe sentiment of this tweet is", (" negative", " neutral", " positive")),
        ("Tweet: {text}\nTone:", (" negative", " neutral", " positive")),
    ],
    "fortunes": [
        (
            "Quote: {text}\nTopic:",
            (" art", " computers", " definition", " politics", " science", " poetry", " work"),
        ),
        (
            "{text}\nCategory:",
            (" art", " computers", " dictionary", " politics", " science", " poetry", " work"),
        ),
        (
            "Quote: {text}\nThis quote is about",
            (" art", " computers", " words", " politics", " science", " love", " work"),
        ),
        (
            "Quote: {text}\nTopic:",
            (" theater", " computer", " dictionary", " government", " science", " song", " job"),
        ),
    ],
}


@dataclass(frozen=True)
class Tried:
    """What a candidate came to on the validation rows."""

    task: str
    template: str
    words: tuple[str, ...]
    accuracy: float
    loss: float


def tried(model: LanguageModel, corpus: Corpus) -> Iterator[Tried]:
    """Every candidate of the task of ``corpus``, in turn."""
    for template, words in CANDIDATES[corpus.name]:
        accuracy, loss = zero_shot(model, corpus, with_words(corpus.task, template, words))
        yield Tried(corpus.name, template, words, accuracy, loss)


def with_words(task: Task, template: str, words: tuple[str, ...]) -> Task:
    """``task`` asked by ``template``, whose labels are said by ``words``."""
    labels = [msgspec.structs.replace(label, word=word) for label, word in zip(task.labels, words, strict=True)]
    return msgspec.structs.replace(task, template=template, labels=tuple(labels))


@torch.no_grad()
def zero_shot(model: LanguageModel, corpus: Corpus, task: Task) -> tuple[float, float]:
    """(Accuracy, loss) of the untouched model on the validation rows."""
    compiled = model.task(task)
    examples = encoded(corpus.rows["validation"], compiled)
    words = model.words(compiled.label_word_ids)
    scores = torch.zeros(len(examples), len(words))
    for rows in by_length([len(example.ids) for example in examples], range(len(examples)), ROWS_A_CALL):
        scores[rows] = model.last_hidden([examples[row] for row in rows]) @ words.T
    labels = torch.tensor([example.label for example in examples]).numpy()
    return measured(scores.numpy(), labels)
