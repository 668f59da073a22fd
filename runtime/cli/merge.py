"""``seedtune merge``: the whole tuned model, as transformers or ONNX Runtime opens it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import BundleOption, JsonOption, ModelArgument, StateOption, StepOption, print_json


def merge_command(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(help="The new folder to write.")],
    form: Annotated[
        Literal["hf", "onnx"],
        typer.Option("--format", help="hf: a folder that transformers opens. onnx: one ONNX model of a classifier."),
    ] = "hf",
    source: Annotated[
        str | None, typer.Option(help="Where the base model is, if not where the bundle was exported from.")
    ] = None,
    without_head: Annotated[
        bool,
        typer.Option(
            "--without-head", help="hf: leave out the head that scores the label words, which a checkpoint cannot say."
        ),
    ] = False,
    shard_size: Annotated[str, typer.Option(metavar="SIZE", help="hf: of a file of weights, at most.")] = "2G",
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Write the whole model as other tools open it.

    `hf` puts what was tuned into the base model's weights, which keep their type: of a state that acts at every token
    (scope all); others are no change of weights, and are refused. `onnx` writes a classifier of any reach as one model:
    `input_ids` and `attention_mask` in, the `logits` of its labels out, in the order of labels.json.

    Examples:

        seedtune merge run --format onnx --out classifier

        seedtune merge run --out merged --without-head

        seedtune merge run --out merged --without-head --source ./base-model --shard-size 1G
    """
    started = time.monotonic()
    console = Console(stderr=True)
    with seedtune.open(model, bundle=bundle, step=step, state=state) as opened:
        with console.status("loading torch and transformers", spinner="dots") as status:
            size_bytes = seedtune.merge(
                opened,
                out=out,
                form=form,
                source=source,
                without_head=without_head,
                shard_size=shard_size,
                phase=status.update,
            )
        seconds = time.monotonic() - started
        console.print(f"{out}: {size_bytes / 1e6:,.0f} MB in {seconds:.1f} s", highlight=False, soft_wrap=True)
        if json:
            about = {"step": opened.step, "state_sha256": opened.state.sha256()}
            print_json({"model": str(out), "format": form, "size_bytes": size_bytes, **about, "seconds": seconds})
