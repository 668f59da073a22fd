"""``seedtune recipe``: representations that a computer learns, and a phone's heads read."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import seedtune
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.cli.settings_options import with_settings
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings
from seedtune.runtime.recipes.records import RecipeEvent, RecipeFinished, RecipePrepared, RecipeStep

recipe_app = typer.Typer(
    name="recipe",
    help="Representations that a computer learns, and a phone's heads read.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@recipe_app.command("graph-contrastive")
@functools.partial(with_settings, struct=GraphContrastiveSettings)
def graph_contrastive_command(
    source: Annotated[
        str,
        typer.Argument(help="An .npz, a folder of Planetoid, or `digits`, which needs no file.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The FEATURES folder to make.")],
    propagate_only: Annotated[
        bool,
        typer.Option("--propagate-only", help="Learn nothing: propagated features, for a map that a phone learns."),
    ] = False,
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """Embed the nodes of a graph by contrastive learning, repaired for class collision and uneven negatives.

    Two views of the graph, a graph convolution net of two layers, InfoNCE. `seedtune export
    FEATURES --objective contrastive` reads the folder.

    Examples:

        seedtune recipe graph-contrastive digits --out features

        seedtune recipe graph-contrastive cora.npz --out features --class-collision off --imbalance off

        seedtune recipe graph-contrastive planetoid/cora --out propagated --propagate-only
    """
    events = seedtune.recipe("graph-contrastive", source, out=out, propagate_only=propagate_only, **settings)
    _end(_followed(events), json)


@recipe_app.command("asymmetric")
@functools.partial(with_settings, struct=AsymmetricSettings)
def asymmetric_command(
    source: Annotated[
        str,
        typer.Argument(
            help="An .npz with `images` and `labels`, a folder of image files, one folder a class number, or `digits`.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The CLASSIFIER folder to make, which is a FEATURES folder too.")],
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train an image classifier with robust and non-robust features in separate heads, by attacks on itself.

    `classifier.onnx` has scores of both heads together and of each: `seedtune scan CLASSIFIER/classifier.onnx --scores
    logits_robust`. The folder is read by `seedtune export CLASSIFIER --objective heads`.

    Examples:

        seedtune recipe asymmetric digits --out classifier

        seedtune recipe asymmetric mnist.npz --out classifier --epochs 40 --shift 2

        seedtune recipe asymmetric photos/ --out classifier --bound 0.03 --attack-steps 10
    """
    _end(_followed(seedtune.recipe("asymmetric", source, out=out, **settings)), json)


def _followed(events: Iterator[RecipeEvent]) -> RecipeFinished:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("reading", total=None, said="")
        for event in events:
            if isinstance(event, RecipePrepared):
                said = ", ".join(f"{name} {value:,}" for name, value in event.data.items() if isinstance(value, int))
                for line in (f"{event.data['name']}: {said}", *event.notices):
                    console.print(line, highlight=False, soft_wrap=True, markup=False)
                progress.update(bar, description="preparing")
            elif isinstance(event, RecipeStep):
                said = "" if event.loss is None else f"loss {event.loss:.4f}"
                progress.update(bar, description=event.phase, total=event.total, completed=event.done, said=said)
            else:
                return event
    raise SeedTuneError("the recipe ended without a result")


def _end(result: RecipeFinished, json: bool) -> None:
    console = Console(stderr=True)
    for name, value in result.figures.items():
        said = value if isinstance(value, dict) else {"": value}
        words = ", ".join(f"{key} {each:.4g}".strip() for key, each in said.items() if each is not None)
        console.print(f"{name.replace('_', ' ')}: {words or 'not measured'}", highlight=False, soft_wrap=True)
    console.print(f"{result.path}: {', '.join(result.files)}", highlight=False, soft_wrap=True, markup=False)
    if json:
        print_json({"features": str(result.path), "figures": result.figures, "files": result.files})
