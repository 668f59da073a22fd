"""Options that several subcommands share, and the last line of ``--json``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

EXIT_INTERRUPTED = 130

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of ONNX Runtime. Default: all processors.")
]


def print_json(fields: dict[str, Any]) -> None:
    """Prints ``fields`` as one line of ASCII, so that every stdout takes it; a number that is not finite is null."""
    print(json.dumps(_finite(msgspec.to_builtins(fields)), allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


DataFormatOption = Annotated[
    Literal["jsonl", "csv", "tsv", "parquet", "csv-quoted", "csv-unquoted", "tsv-quoted", "tsv-unquoted"] | None,
    typer.Option(
        "--data-format",
        help="Format of the rows, if the ending of their file does not say it (standard input: jsonl); and whether the "
        "quotes of a table quote, or are text.",
    ),
]
# Which model is asked: the same four of every command that opens one.
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A bundle, or a RUN folder (its best state).", show_default=False)
]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="Where the run's bundle is, if it was moved.")]
StepOption = Annotated[int | None, typer.Option("--step", min=0, help="The state after this many steps, not the best.")]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="A state file beside a bundle, as `seedtune replay` writes it."),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder of context caches (scope suffix); runs on the same rows can share it."),
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
