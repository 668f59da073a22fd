"""What is said of rows whose contexts are in no cache, where the files that compute them are at the desk."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.rows import Rows
from seedtune.runtime.errors import SeedTuneError


def absent_contexts(
    bundle: Bundle, name: str, cache: Path | None, absent: Sequence[int], total: int, rows: Rows | None
) -> SeedTuneError:
    """The refusal of ``total`` rows of which those at the places ``absent`` have no context.

    Args:
        bundle: without its host files.
        name: of the split.
        cache: the folder of the caches that were looked at; None where none was named.
        absent: ascending, at least one.
        total: rows of the split.
        rows: as they were read; None where nobody knows where they are from.
    """
    data = "ROWS" if rows is None or rows.source is None else str(rows.source)
    command = ["seedtune", "cache", bundle.path.name, "--data", data, "--out", "contexts", "--name", name]
    place = "give its folder with --cache" if cache is None else f"copy what it made to {cache}"
    return SeedTuneError(
        f"{len(absent):,} of {total:,} rows ({name}) have no context in the cache, and what computes contexts is at "
        "the desk",
        file=None if rows is None else f"{rows.where}:{rows[absent[0]].line}",
        value="no cache was named" if cache is None else f"{total - len(absent):,} contexts in {cache}",
        rule=f"the context of every row, or the bundle's host files ({', '.join(bundle.manifest.host_files)})",
        remedy=f"where the whole bundle is: {shlex.join(command)}; then {place}",
    )
