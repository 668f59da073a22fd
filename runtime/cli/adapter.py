"""``seedtune adapter``: what was tuned as an adapter that other tools load beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import BundleOption, JsonOption, ModelArgument, StateOption, StepOption, print_json

LOADED = {
    "peft": "load it with peft.PeftModel.from_pretrained(model, %r)",
    "gguf-lora": "load it with llama-cli --model BASE.gguf --lora %s",
}


def adapter_command(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(help="The new folder to write; with gguf-lora the file.")],
    form: Annotated[
        Literal["peft", "gguf-lora"], typer.Option("--format", help="Whose form it has: PEFT's, or llama.cpp's.")
    ] = "peft",
    source: Annotated[
        str | None,
        typer.Option(help="With gguf-lora: where the base model is, if not where the bundle was exported from."),
    ] = None,
    without_head: Annotated[
        bool,
        typer.Option(
            "--without-head", help="Leave out the head that scores the label words, which an adapter cannot say."
        ),
    ] = False,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Write an adapter for PEFT or llama.cpp of a state that acts at every token (scope all).

    States of shorter reach are no change of weights, and are refused.

    Examples:

        seedtune adapter run --out adapter --without-head

        seedtune adapter run --format gguf-lora --out adapter.gguf --without-head
    """
    with seedtune.open(model, bundle=bundle, step=step, state=state) as opened:
        manifest = opened.bundle.manifest
        size_bytes = seedtune.adapter(opened, out=out, form=form, source=source, without_head=without_head)
        Console(stderr=True).print(
            f"{out}: {len(manifest.state.targets)} targets of rank {manifest.state.rank}, {size_bytes / 1e6:,.1f} MB; "
            + (LOADED[form] % str(out)),
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        if json:
            about = {"step": opened.step, "state_sha256": opened.state.sha256()}
            print_json({"adapter": str(out), "format": form, "size_bytes": size_bytes, **about})
