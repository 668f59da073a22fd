"""``seedtune replay``: a state back from its journal, as a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.files import require_writable
from seedtune.runtime.model.replaying import open_recorded
from seedtune.runtime.model.state_file import MadeOf, write_state


def replay_command(
    source: Annotated[Path, typer.Argument(metavar="RUN|JOURNAL", help="A RUN folder, or a journal.")],
    out: Annotated[Path, typer.Option(help="The file to write, a safetensors file.")],
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle that the journal was written over; a RUN folder says it itself.")
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(min=0, help="So many steps. [default: a run's best state; all steps of a journal]"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a state again from bundle and journal, to the bit, and write it to a file.

    `--state` of eval, predict and generate takes the file beside the bundle.

    Examples:

        seedtune replay run --out state.safetensors

        seedtune replay journal.bin --bundle bundle --until 120 --out state.safetensors

        seedtune eval bundle --state state.safetensors --data test.jsonl
    """
    require_writable(out)
    tuned = open_recorded(source, bundle, until)
    started = time.monotonic()
    state = tuned.state
    seconds = time.monotonic() - started
    write_state(out, tuned.bundle, state, MadeOf(tuned.step, f"replay of {tuned.step} steps"))
    Console(stderr=True).print(
        f"{out}: state after {tuned.step:,} steps, {len(state.values):,} parameters, replayed in {seconds:.2f} s",
        highlight=False,
        soft_wrap=True,
    )
    if json:
        print_json(
            {
                "state": str(out),
                "step": tuned.step,
                "parameters": len(state.values),
                "state_sha256": state.sha256(),
                "bundle_sha256": tuned.bundle.sha256,
                "seconds": seconds,
            }
        )
