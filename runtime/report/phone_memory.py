"""The figure of a paper: the most memory by kind of each run, and memory over time, as table and as plot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report.side_by_side import (
    MEMORY_KINDS,
    NamedRun,
    collect_runs,
    memory_peak,
    memory_series,
    memory_table,
)
from seedtune.runtime.report.still import Curve, Panel, write_still
from seedtune.runtime.report.tables import Table


def write_memory(folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> tuple[Table, list[Path]]:
    """Writes ``out`` with the endings .csv, .md, .tex, .png and .svg.

    Args:
        folders: RUN folders, of phones or of desks.
        out: a path without an ending.

    Returns:
        The table, and the files written.

    Raises:
        SeedTuneError: a folder is no run, none of the runs tells of memory, or a file cannot be written.
    """
    stem = Path(out)
    require_writable(stem.with_name(f"{stem.name}.csv"))
    runs = collect_runs(folders)
    if not any(memory_peak(run.data, kind) for run in runs for kind in MEMORY_KINDS):
        raise SeedTuneError(
            "none of these runs tells of memory",
            value=", ".join(run.name for run in runs),
            rule="a run of a phone, or of a system with /proc",
            remedy="give the folder that seedtune device follow or pull wrote",
        )
    table = memory_table(runs)
    written = []
    for ending, text in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.latex())):
        path = stem.with_name(f"{stem.name}.{ending}")
        write_durably(path, text.encode("utf-8", "replace"))
        written.append(path)
    return table, [*written, *write_still(stem, _panels(runs))]


def _panels(runs: Sequence[NamedRun]) -> list[Panel]:
    bars, curves = [], []
    for run in runs:
        peaks = [memory_peak(run.data, kind) for kind in MEMORY_KINDS]
        heights = [None if peak is None else peak.value / 1e6 for peak in peaks]
        bars.append(Curve(run.name, [float(place) for place in range(len(peaks))], heights))
        kind = "PSS" if memory_series(run.data, "PSS") else "RssAnon"
        samples = memory_series(run.data, kind)
        name = f"{run.name} ({kind})"
        curves.append(Curve(name, [sample.seconds for sample in samples], [sample.value / 1e6 for sample in samples]))
    return [Panel("", "most, MB", tuple(bars), MEMORY_KINDS), Panel("seconds", "MB", tuple(curves))]
