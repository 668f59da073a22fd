"""``seedtune scan``: does an image classifier survive pictures that people read the same?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import seedtune
from seedtune.runtime.cli.options import JsonOption, ThreadsOption, print_json
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.scan.records import ScanComparing, ScanEvent, ScanPrepared, ScanResult, ScanStep, WhiteBoxRecord
from seedtune.runtime.scan.settings import Attack, ScanSettings, WhiteBox

DEFAULTS = ScanSettings()


def scan_command(
    classifier: Annotated[Path, typer.Argument(help="An ONNX file: images in, scores out.", show_default=False)],
    images: Annotated[
        Path,
        typer.Option(help="An .npz with `images` and `labels`, or a folder of image files, one folder a class number."),
    ],
    out: Annotated[Path, typer.Option(help="The SCAN folder to make.")],
    attack: Annotated[
        Attack,
        typer.Option(
            help="spt: one curve for all values of a picture; spa: a curve a channel, and shifts of patterns."
        ),
    ] = DEFAULTS.attack,
    queries: Annotated[int, typer.Option(min=2, help="Answers that a picture may cost.")] = DEFAULTS.queries,
    correlation: Annotated[
        float, typer.Option(min=-1, max=1, help="With the original that is kept; 0.8 strict, 0.5 loose.")
    ] = DEFAULTS.correlation,
    contrast: Annotated[
        float, typer.Option(min=0, help="Of the original's standard deviation that is kept.")
    ] = DEFAULTS.contrast,
    margin: Annotated[
        float, typer.Option(help="By which another class must lead; larger if others shall be fooled too.")
    ] = DEFAULTS.margin,
    patterns: Annotated[int, typer.Option(min=1, max=4096, help="Of a picture, that spa shifts.")] = DEFAULTS.patterns,
    norm_bound: Annotated[
        float, typer.Option(min=0, max=1, help="Of the control that changes each pixel by itself, and of --also.")
    ] = DEFAULTS.norm_bound,
    also: Annotated[
        WhiteBox | None,
        typer.Option(help="Gradients on top, within --norm-bound: pgd of the cross-entropy, or cw of the margin."),
    ] = None,
    also_steps: Annotated[int, typer.Option(min=1, help="Of that descent.")] = DEFAULTS.also_steps,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Everything random follows from it.")] = DEFAULTS.seed,
    first: Annotated[int | None, typer.Option(min=1, help="At most so many pictures. Default: all.")] = None,
    mean: Annotated[
        list[float] | None, typer.Option(help="Of each channel, taken from the values; once, or once a channel.")
    ] = None,
    deviation: Annotated[list[float] | None, typer.Option(help="Of each channel, by which they are divided.")] = None,
    transfer: Annotated[
        list[Path] | None, typer.Option(help="Another classifier that is shown what was found; may be given again.")
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(help="Of a classifier with several outputs: the one with its scores. Default: `logits`."),
    ] = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Look for pictures that people read the same and the classifier does not, with its scores alone.

    Every value of a picture goes through one curve, so pixels that were equal stay equal; the curve is found by the
    loop that tunes, a state a picture. The same seed finds the same pictures; `seedtune report SCAN` shows them.

    Examples:

        seedtune scan digits.onnx --images test.npz --out scan

        seedtune scan digits.onnx --images photos/ --out scan --attack spa --correlation 0.5 --transfer other.onnx

        seedtune scan classifier.onnx --images test.npz --out robust --scores logits_robust

        seedtune scan digits.onnx --images test.npz --out scan --also pgd --norm-bound 0.1
    """
    console = Console(stderr=True)
    events = seedtune.scan(
        classifier,
        images=images,
        out=out,
        first=first,
        mean=mean or (),
        deviation=deviation or (),
        transfer=transfer or (),
        threads=threads,
        scores=scores,
        attack=attack,
        queries=queries,
        correlation=correlation,
        contrast=contrast,
        margin=margin,
        patterns=patterns,
        norm_bound=norm_bound,
        also=also,
        also_steps=also_steps,
        seed=seed,
    )
    result = _followed(events, console)
    _tell(result, console)
    console.print(f"{out}; seedtune report {out} shows it", highlight=False, soft_wrap=True)
    if json:
        print_json({"scan": str(out), "result": result})


def _followed(events: Iterator[ScanEvent], console: Console) -> ScanResult:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("asking the classifier", total=None, said="")
        for event in events:
            if isinstance(event, ScanPrepared):
                kept = "which it gets right" if event.images.labelled else "by its own answers, as nobody says"
                scores = "probabilities" if event.classifier.probabilities else "no probabilities: differences count"
                console.print(
                    f"{event.images.right} of {event.images.given} pictures, {kept}; scores are {scores}",
                    highlight=False,
                    soft_wrap=True,
                )
            elif isinstance(event, ScanStep):
                said = f"{event.found} of {event.images} found"
                progress.update(bar, description="searching", total=event.steps, completed=event.step, said=said)
            elif isinstance(event, ScanComparing):
                progress.update(bar, description=event.what, total=None, said="")
            else:
                return event.result
    raise SeedTuneError("the scan ended without a result")


def _tell(result: ScanResult, console: Console) -> None:
    console.print(
        f"another answer for {result.found} of {result.images} pictures ({result.success:.1%}), "
        f"after {result.queries_median or 0:.0f} queries in the middle; {result.queries_a_second:,.0f} a second",
        highlight=False,
        soft_wrap=True,
    )
    named = {
        "random": "random search with as many queries",
        "inversion": "plain inversion, whatever it looks like",
        "pixels": "each pixel by itself, within --norm-bound",
    }
    for name, share in result.controls.items():
        console.print(f"  beside it: {named[name]} {share:.1%}", highlight=False)
    for other in result.transfer:
        console.print(f"  {Path(other.path).name}: {other.fooled} of {other.right} fool it too", highlight=False)
    if result.white_box is not None:
        _tell_white_box(result.white_box, console)


def _tell_white_box(found: WhiteBoxRecord, console: Console) -> None:
    console.print(
        f"with gradients, {found.kind} within {found.bound:g}: {found.alone:.1%} alone, "
        f"{found.on_top:.1%} on top of the scan, which gradients of its map take to {found.on_map or 0:.1%}",
        highlight=False,
        soft_wrap=True,
    )
    for alone, other in zip(found.transfer_alone, found.transfer, strict=True):
        console.print(
            f"  {Path(other.path).name}: {alone.fooled} of {alone.right} alone, {other.fooled} of {other.right} on top "
            "fool it too",
            highlight=False,
            soft_wrap=True,
        )
