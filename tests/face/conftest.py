"""A run that was made through the front door, and rows to ask about."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import seedtune

# From zero, so that a state is what the journal alone says.
SETTINGS = {"steps": 8, "batch_size": 8, "learning_rate": 0.1, "eval_every": 3, "seed": 5, "start": "zero"}


@pytest.fixture(scope="session")
def settings() -> dict:
    """Of a short run."""
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def whole(
    tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """An uninterrupted run of eight steps: its folder, events and result; read-only."""
    out = tmp_path_factory.mktemp("face") / "run"
    with seedtune.open(tiny_bundle, threads=1) as model:
        tuning = model.tune(tiny_data.train, tiny_data.eval, out=out, **settings)
        events = list(tuning)
    return SimpleNamespace(path=out, events=events, result=tuning.result)


@pytest.fixture(scope="session")
def labelled(tiny_data: SimpleNamespace) -> list[dict[str, str]]:
    """The held-out rows."""
    return [json.loads(line) for line in tiny_data.eval.read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def unlabelled(labelled: list[dict[str, str]]) -> list[dict[str, str]]:
    """The held-out rows without what is asked."""
    return [{"text": row["text"]} for row in labelled]
