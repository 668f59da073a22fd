"""The tokenizer, the task and the rows that every tiny model is asked; the same for all."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

BEGIN, END, PADDING, MASK = 0, 1, 2, 3
SPECIAL = ("<s>", "</s>", "<pad>", "<mask>")
VOCABULARY = 420
MAX_TOKENS = 60
NEGATIVE = ("awful", "boring", "dull", "bad")
POSITIVE = ("lovely", "great", "bright", "good")
THINGS = ("film", "song", "book")
TASK = f"""\
name = "tiny"
kind = "classification"
template = "Review: {{text}}\\nSentiment:"
truncate = "text"
max_tokens = {MAX_TOKENS}

[[labels]]
value = "0"
name = "negative"
word = " negative"

[[labels]]
value = "1"
name = "positive"
word = " positive"

[masked]
template = "Review: {{text}}\\nSentiment:{{mask}}."
"""


def tokenizer(masked: bool) -> PreTrainedTokenizerFast:
    """Byte-level BPE with VOCABULARY entries, in which every word of a row is one token."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    sentences = [
        f"Review: a {word} {thing}\nSentiment: {label}."
        for words, label in ((NEGATIVE, "negative"), (POSITIVE, "positive"))
        for word in words
        for thing in THINGS
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, lstrip=token == "<mask>", special=True) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(sentences, trainer)
    single = "<s> $A </s>" if masked else "<s> $A"
    pairs = [("<s>", BEGIN), ("</s>", END)] if masked else [("<s>", BEGIN)]
    made.post_processor = processors.TemplateProcessing(single=single, special_tokens=pairs)
    names = dict(zip(("bos_token", "eos_token", "pad_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def rows(count: int = 12, seed: int = 1) -> list[dict[str, str]]:
    """Rows of very different lengths, the first and the last among the shortest and the longest."""
    generator = random.Random(seed)
    found = []
    for place in range(count):
        words = generator.choices(NEGATIVE + POSITIVE + THINGS, k=1 + place * 40 // (count - 1))
        found.append({"text": f"a {' '.join(words)}", "label": str(place % 2)})
    return found


def write_rows(file: Path) -> Path:
    """:func:`rows` as JSON lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return file
