# ruff: noqa: RUF001 - texts in many scripts are the point
"""Tokens that the Kotlin engine must find again: of texts in many scripts, and of rows that spell special tokens."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from golden import write_json, write_lines
from tokenizer_lab import SPECIALS, compiled_for, task_of, tokenizer_of
from tokenizers import Tokenizer, models

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.plain_text import plain_text
from seedtune.runtime.task.structure import Task

TEXTS = 2000
# Models that the engine reads, each of which could make a special token of a text.
SPELLING = ("byte_level", "whole_words", "word_pieces")
SAMPLES = (
    "A film well worth seeing, and one I'd see again!",
    "don't  DON'T we'll they've it's I'm you'd",
    "Größe, naïve café — “quotes” … ½ ² Ⅻ ٣ ٤ 12345 6,789.01",
    "这部电影非常好看。我很喜欢！",
    "日本語のテキスト、カタカナとひらがな",
    "한국어 문장입니다",
    "هذا فيلم رائع جدا",
    "זה סרט נהדר",
    "Очень хороший фильм",
    "😀😃👩‍👩‍👧‍👦🏳️‍🌈👍🏽 emoji",
    "tab\tnew\nline\r\nend\x0b\x0c\x1c\x85\u2028\u2029",
    "nul-like \x01\x02\x1f controls \x7f\u200b\u200e\ufeff",
    "  leading and trailing   ",
    "e\u0301 combining A\u030a \u1112\u1161\u11ab ﬁ ſ İ ẞ",
    "<s></s><pad><mask><|endoftext|>[CLS][SEP][MASK]",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "https://example.org/path?query=1&other=%20#fragment user@example.org",
    "x=1;if(x<2){return x*3;}//comment",
    "\u00a0\u3000\u2003wide\u00a0spaces",
    "",
    " ",
    "\n\n\n",
)


def texts() -> list[str]:
    """TEXTS texts: the samples, pieces of them in other orders, and characters from all over Unicode."""
    generator = random.Random(20_240_229)
    made = list(SAMPLES)
    # Letters that the Unicode versions of two libraries disagree about would prove nothing about either.
    characters = map(chr, [*range(1, 0x3000), *range(0x4E00, 0x4F00)])
    assigned = [character for character in characters if _assigned_since_long(character)]
    while len(made) < TEXTS:
        if generator.random() < 0.6:
            words = [generator.choice(SAMPLES).split(" ") for _ in range(generator.randint(1, 4))]
            made.append(" ".join(generator.choice(word) for word in words for _ in range(generator.randint(1, 5))))
        else:
            made.append("".join(generator.choices(assigned, k=generator.randint(1, 30))))
    return made


def _assigned_since_long(character: str) -> bool:
    # Unicode 3.2, which Python keeps beside its own.
    return unicodedata.ucd_3_2_0.category(character) != "Cn"


def write_tokenizers(folder: Path, tokenizers: Mapping[str, Tokenizer]) -> None:
    """tokenizers/NAME: tokenizer.json, and texts with their tokens, special tokens in texts read as plain text."""
    write_json(folder / "tokenizers.json", list(tokenizers))
    for name, tokenizer in tokenizers.items():
        place = folder / "tokenizers" / name
        place.mkdir(parents=True)
        (place / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
        whole = plain_text(tokenizer).tokenizer
        # Post-processors trim spaces at the edges of tokens from offsets, which truncation does itself.
        bare = plain_text(_without_post_processor(tokenizer)).tokenizer
        records = []
        for text in texts():
            ends: list[int] | None = [end for _, end in bare.encode(text, add_special_tokens=False).offsets]
            # Which character a composed or reordered mark belongs to is told differently by every library.
            if name == "pattern" and unicodedata.normalize("NFC", text) != text:
                ends = None
            records.append({"text": text, "ids": whole.encode(text).ids, "ends": ends})
        write_lines(place / "texts.jsonl", records)


def _without_post_processor(tokenizer: Tokenizer) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"post_processor": None}))


def write_spelled_rows(folder: Path) -> None:
    """spelled/: tokenizers that could make special tokens of text, and what a task makes of rows that spell some."""
    folder.mkdir()
    cases = []
    for name in (*SPELLING, "padded"):
        tokenizer = _padded() if name == "padded" else Tokenizer.from_str(tokenizer_of(name).to_str())
        tokenizer.add_tokens(["<think>", "superfilm"])
        (folder / f"{name}.json").write_text(tokenizer.to_str(), encoding="utf-8")
        for task in _tasks(name):
            masked = "{mask}" in task.template
            # "superfilm", the last token, has no row in the embedding.
            size = tokenizer.get_vocab_size() - 1
            compiled = compiled_for(tokenizer, task, "suffix", size)
            rows = [{"text": text} | _outcome(compiled, text) for text in _spelled_texts()]
            words = [label.word for label in task.labels]
            case = {"tokenizer": name, "template": task.template, "words": words, "masked": masked, "size": size}
            cases.append(case | {"max_tokens": task.max_tokens, "rows": rows})
    write_json(folder / "cases.json", cases)


def _tasks(name: str) -> Iterator[Task]:
    if name == "padded":
        yield task_of("film! {text} is", " bad", " great")
        return
    for limit in (512, 14):
        yield task_of("{text} It was {mask} .", " terrible", " great", max_tokens=limit)
        yield task_of("Is </s> {text}> It was", " terrible", " great", max_tokens=limit)


def _outcome(task: CompiledTask, text: str) -> dict[str, object]:
    try:
        found = task.encode({"text": text})
    except SeedTuneError as error:
        return {"refused": error.what}
    assert found.suffix is not None
    return {"ids": found.ids.tolist(), "position": found.position, "suffix": found.suffix.tolist()}


def _spelled_texts() -> list[str]:
    generator = random.Random(11)
    parts = [*SPECIALS, "<", "</", "s>", "<ma", "sk>", "MASK", "<MASK>", " ", "  ", "a", "film", "great"]
    parts += ["!", "é", "😀", "zz", "superfilm", "<think>"]
    return ["".join(generator.choices(parts, k=generator.randint(1, 7))) for _ in range(300)]


def _padded() -> Tokenizer:
    """Characters and a few words, where ``!`` is a special token."""
    letters = dict.fromkeys("! abcdefghijklmnopqrstuvwxyz<>/")
    merges = [("!", "!"), *((word[:end], word[end]) for word in (" bad", " great") for end in range(1, len(word)))]
    pieces = {piece: index for index, piece in enumerate([*letters, *(left + right for left, right in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=pieces, merges=merges))
    tokenizer.add_special_tokens(["!"])
    return tokenizer
