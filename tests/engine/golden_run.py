"""A run that Python made, and the options with which the engine makes it again in a process of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden import SETTINGS


@dataclass(frozen=True)
class GoldenRun:
    """A RUN folder of the golden files.

    Attributes:
        folder: of the run.
        bundle: that it was made with.
        train: its rows.
        eval: the rows that were held out.
        more: its settings beside SETTINGS.
        state_sha256: of its last state.
    """

    folder: Path
    bundle: str
    train: str
    eval: str
    more: dict[str, Any]
    state_sha256: str

    @classmethod
    def of(cls, folder: Path) -> GoldenRun:
        """That in ``folder``."""
        info = json.loads((folder / "info.json").read_text())
        return cls(folder, info["bundle"], info["train"], info["eval"], info["more"], info["state_sha256"])


def arguments(case: GoldenRun, run: Path) -> list[str]:
    """Options of TUNE for the same run in the folder ``run``, without rows to hold out."""
    options = {**SETTINGS, **case.more, "out": run, "train": case.train}
    return [str(case.bundle), *(f"--{name}={value}" for name, value in options.items())]


def kept_states(run: Path) -> dict[str, bytes]:
    """What a run along gradients keeps; nothing of another."""
    return {path.name: path.read_bytes() for path in (run / "states").glob("*")}
