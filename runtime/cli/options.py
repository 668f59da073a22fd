"""Options that several subcommands share, and the last line of ``--json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

EXIT_INTERRUPTED = 130

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
