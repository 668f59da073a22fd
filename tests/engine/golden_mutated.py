"""Mutated inputs for the engine, with what the Python runtime makes of each: `MutatedInputsTest.kt` reads them."""

from __future__ import annotations

from pathlib import Path

from fuzz.watch import fuzz

# Target -> inputs; `python scripts/fuzz --corpus FOLDER/mutated` writes more.
INPUTS = {"journal": 150, "cache": 150, "manifest": 100, "stages": 60, "weights": 60, "tokenizer": 60, "run": 40}


def write_mutated(folder: Path) -> None:
    """A file of JSON lines for each target."""
    for target, count in INPUTS.items():
        tally = fuzz(target, 0, count, folder / "mutated")
        assert not tally.failed, tally.failures[:1]
