"""Options that several subcommands share, and the last line of ``--json``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from seedtune.runtime.errors import SeedTuneError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of ONNX Runtime. Default: all processors.")
]


def print_json(fields: dict[str, Any]) -> None:
    """Prints ``fields`` as one line; a number that is not finite becomes null."""
    print(msgspec.json.encode(fields).decode(), flush=True)


CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder of prefix caches (scope suffix); runs on the same rows can share it."),
]
CacheLimitOption = Annotated[
    str | None,
    typer.Option(
        "--cache-limit",
        metavar="SIZE",
        help="Bytes of each cache, such as 500M or 2G; rows beyond it are computed at each use. 0 keeps none.",
    ),
]
MemoryLimitOption = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Stay below so many bytes in all, such as 256Mi or 1G: weights are streamed from the bundle.",
    ),
]
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_size(text: str, option: str) -> int:
    """Bytes: a number with K, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti (powers of 1024), and an optional B.

    Raises:
        SeedTuneError: ``text`` is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    size = float("inf") if found is None or found[2] == "I" else float(found[1]) * UNITS[found[2]]
    if math.isinf(size):
        raise SeedTuneError(
            f"{option} is not a size",
            value=text,
            rule="a number of bytes, such as 500M, 2G or 1.5Gi",
            remedy="write 1G",
        )
    return int(size)
