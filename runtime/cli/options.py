"""Options that several subcommands share, and the last line of ``--json``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of ONNX Runtime. Default: all processors.")
]


def print_json(fields: dict[str, Any]) -> None:
    """Prints ``fields`` as one line; a number that is not finite becomes null."""
    print(msgspec.json.encode(fields).decode(), flush=True)
