"""``seedtune``: puts the subcommands together and turns errors into messages and exit codes.

Exit codes: 0 done; 2 something the user can put right; 130 stopped by Ctrl-C, everything kept.
"""

from __future__ import annotations

import errno
import io
import sys
from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from seedtune.runtime.cli.adapter import adapter_command
from seedtune.runtime.cli.bundle import bundle_app
from seedtune.runtime.cli.cache import cache_command
from seedtune.runtime.cli.card import card_command
from seedtune.runtime.cli.chat import chat_command
from seedtune.runtime.cli.device.app import device_app
from seedtune.runtime.cli.doctor import doctor
from seedtune.runtime.cli.evaluate import evaluate_command
from seedtune.runtime.cli.export import export_command
from seedtune.runtime.cli.generate import generate_command
from seedtune.runtime.cli.journal import journal_app
from seedtune.runtime.cli.merge import merge_command
from seedtune.runtime.cli.options import EXIT_INTERRUPTED
from seedtune.runtime.cli.predict import predict_command
from seedtune.runtime.cli.push import push_command
from seedtune.runtime.cli.recipe import recipe_app
from seedtune.runtime.cli.replay import replay_command
from seedtune.runtime.cli.report import report_command
from seedtune.runtime.cli.run import run_command
from seedtune.runtime.cli.scan import scan_command
from seedtune.runtime.cli.serve import serve_command
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError

app = typer.Typer(
    name="seedtune",
    help="Tune a language model with forward passes only: export it, run the loop, look at the result.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"seedtune {metadata.version('seedtune')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Tune a language model with forward passes only: export it, run the loop, look at the result."""


app.command("export")(export_command)
app.command("cache")(cache_command)
app.command("run")(run_command)
app.command("eval")(evaluate_command)
app.command("predict")(predict_command)
app.command("generate")(generate_command)
app.command("chat")(chat_command)
app.command("serve")(serve_command)
app.command("replay")(replay_command)
app.command("adapter")(adapter_command)
app.command("merge")(merge_command)
app.add_typer(journal_app)
app.add_typer(bundle_app)
app.command("scan")(scan_command)
app.add_typer(recipe_app)
app.command("card")(card_command)
app.command("push")(push_command)
app.command("report")(report_command)
app.command("doctor")(doctor)
app.add_typer(device_app)


def run() -> None:
    """Entry point of the ``seedtune`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets another one in its place, not a traceback.
            stream.reconfigure(errors="replace")
    console = Console(stderr=True)
    try:
        app()
    except SeedTuneError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_CODE)
    except OSError as error:
        if error.errno not in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EACCES,
            errno.EROFS,
            errno.EFBIG,
            errno.EPERM,
        ):
            raise
        where = f"{error.filename}: " if error.filename else ""
        console.print(f"[bold red]error:[/] {escape(where)}{error.strerror}", highlight=False, soft_wrap=True)
        console.print("  remedy: free disk space, or choose a folder that can be written", highlight=False)
        sys.exit(EXIT_CODE)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(EXIT_INTERRUPTED)
