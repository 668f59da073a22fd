"""Two plain forward passes in ONNX Runtime: the model as traced, without targets, noise or a second side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seedtune.runtime.graphs.session import open_session


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: plain (folder of `plain_graph.py`), rows (npz), threads."""
    session = open_session(Path(options["plain"]) / "plain.onnx", options["threads"])
    rows = np.load(options["rows"])
    feeds = {name: rows[name] for name in ("ids", "mask", "position")}

    def step() -> None:
        session.run(None, feeds)
        session.run(None, feeds)

    return step
