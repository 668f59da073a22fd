"""The embedded default, for real: downloaded, exported, compared with transformers, and tuned by the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seedtune.runtime.model.tuned import open_tuned
from seedtune.runtime.telemetry.records import JOURNAL_FILE

pytestmark = [pytest.mark.traced, pytest.mark.slow]

SEEDTUNE = Path(sys.executable).with_name("seedtune")
REVIEWS = (
    ("A wonderful, warm and very funny film that I would gladly see again.", "1"),
    ("Dull, endless and badly acted; a complete waste of an evening.", "0"),
    ("The best performance of her career, in a moving and beautiful story.", "1"),
    ("I have rarely been so bored. The plot makes no sense at all.", "0"),
    ("Brilliantly written, superbly filmed, a joy from start to finish.", "1"),
    ("A lazy, ugly, humourless mess that insults its audience.", "0"),
    ("Charming and clever; the children laughed all the way through.", "1"),
    ("The worst film of the year, and it is not even close.", "0"),
)


def seedtune(*arguments: object) -> dict[str, Any]:
    """Runs the command with ``--json`` and returns its last line."""
    done = subprocess.run([SEEDTUNE, *map(str, arguments), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 for the sentiment task, as a user exports it."""
    out = tmp_path_factory.mktemp("real") / "bundle"
    exported = seedtune("export", "smollm2-135m-instruct", "--task", "sentiment", "--out", out)
    assert exported["checked"] is True
    assert exported["parameters"] == 134_515_008
    return out


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight reviews whose sentiment nobody would dispute."""
    path = tmp_path_factory.mktemp("data") / "reviews.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in REVIEWS))
    return path


def test_untouched_model_reads_plain_reviews_far_above_chance(bundle: Path, reviews: Path) -> None:
    result = seedtune("eval", bundle, "--data", reviews)
    assert result["examples"] == len(REVIEWS)
    assert result["accuracy"] >= 7 / 8


def test_bundle_is_no_larger_than_weights_and_8_megabytes(bundle: Path) -> None:
    total = sum(file.stat().st_size for file in bundle.iterdir())
    assert total <= 4 * 134_515_008 + 8_000_000


@pytest.mark.timeout(600)
def test_a_tuned_state_is_replayed_to_the_last_bit(bundle: Path, reviews: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--steps", 3, "--batch-size", 4, "--seed", 5)
    result = seedtune("run", bundle, "--train", reviews, "--out", run, *options)
    assert result["steps"] == 3
    replayed = open_tuned(run).state
    assert replayed.sha256() == result["state_sha256"]
    assert replayed.values.any()
    again = tmp_path / "again"
    seedtune("run", bundle, "--train", reviews, "--out", again, *options)
    assert (again / JOURNAL_FILE).read_bytes() == (run / JOURNAL_FILE).read_bytes()
