"""``seedtune card``: what a run is, for whoever gets its result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report.card import card_path, model_card
from seedtune.runtime.report.collect import collect


def card_command(
    run: Annotated[Path, typer.Argument(help="A RUN folder.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The card to write. [default: RUN/README.md]")] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", help="Of the base model, as the hub spells it, such as apache-2.0.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a model card in the hub's form: task, figures with intervals, hashes of the data, how it was made.

    Examples:

        seedtune card run --license apache-2.0

        seedtune card run --out merged/README.md
    """
    data = collect(run)
    text = model_card(data, license_name)
    path = card_path(run, out)
    require_writable(path)
    write_durably(path, text.encode())
    Console(stderr=True).print(str(path), highlight=False, soft_wrap=True)
    if json:
        print_json({"card": str(path), "size_bytes": path.stat().st_size})
