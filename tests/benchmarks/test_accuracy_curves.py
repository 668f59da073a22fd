"""Curves become one picture a task."""

from __future__ import annotations

from pathlib import Path

from lab.accuracy.curves import drawn
from lab.accuracy.results import Result


def test_every_task_with_curves_is_a_picture(tmp_path: Path) -> None:
    results = [
        Result({"task": {"name": task}, "method": method, "seed": seed}, {"curve": [[8, 0.7], [16, 0.6]]}, {})
        for task in ("reviews", "irony")
        for method in ("one", "other")
        for seed in (0, 1)
    ]
    files = drawn(results, tmp_path / "new")
    assert files == [str(tmp_path / "new" / f"{task}.png") for task in ("reviews", "irony")]
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in files)
    assert drawn([], tmp_path) == []
