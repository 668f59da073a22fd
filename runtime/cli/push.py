"""``seedtune push``: what a run came to, for others, on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.report.card import model_card
from seedtune.runtime.report.collect import collect
from seedtune.runtime.sharing.contents import contents_of
from seedtune.runtime.sharing.upload import require_repository, upload

FLAG = "--yes-upload"


def push_command(
    run: Annotated[Path, typer.Argument(help="A RUN folder that has ended; its card is uploaded.", show_default=False)],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="owner/name on the hub.", show_default=False)],
    given: Annotated[
        Path | None,
        typer.Option("--with", help="What else: the folder of adapter, merge or export, or a file of GGUF."),
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", help="Of the base model, as the hub spells it, such as apache-2.0.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="For everybody, where the repository is made.")] = False,
    really: Annotated[bool, typer.Option(FLAG, help="Send it. Without, nothing is sent.")] = False,
    json: JsonOption = False,
) -> None:
    """Upload the card of a run, with an adapter, a merged model or a bundle, to the Hugging Face hub.

    Without `--yes-upload` nothing is sent: the files and their sizes are listed. Rows, predictions and the journal
    stay here in any case.

    Examples:

        seedtune push run ada/reviews --with adapter --license apache-2.0

        seedtune push run ada/reviews --with adapter --license apache-2.0 --yes-upload
    """
    require_repository(repository)
    data = collect(run)
    contents = contents_of(model_card(data, license_name), given)
    sizes = contents.sizes
    console = Console(stderr=True)
    table = Table("file", "bytes", title=f"the card{f' and {contents.what}' if contents.what else ''}")
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}")
    console.print(table)
    base = data.description.model.source
    if Path(base).exists():
        console.print(f"the card and an adapter's settings name a folder of this machine: {base}", soft_wrap=True)
    url = upload(contents, repository, public=public) if really else None
    told = str(url) if really else f"nothing was sent to {repository}: add {FLAG} to send it"
    console.print(told, highlight=False, soft_wrap=True)
    if json:
        sent = sum(sizes.values())
        print_json({"repository": repository, "uploaded": really, "url": url, "files": sizes, "size_bytes": sent})
