"""``seedtune chat``: a conversation with a bundle or a run, in the terminal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.bundle.objective import DECODE
from seedtune.runtime.cli.options import BundleOption, ModelArgument, StateOption, StepOption, ThreadsOption
from seedtune.runtime.cli.text_output import write_text
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.generate import MAX_TOKENS
from seedtune.runtime.generation.sampling import MAX_SEED


def chat_command(
    model: ModelArgument,
    system: Annotated[str | None, typer.Option(help="The system's message before the conversation.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")] = MAX_TOKENS,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0 for the likeliest token; 1 for the model's own probabilities.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option(help="Draw from the fewest tokens that are so likely together.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the draws; the n-th answer takes seed + n.")] = 0,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Talk with a model by its own chat template: a line is a message, the answer follows as it is generated.

    The end of the input (Ctrl-D) ends it; Ctrl-C ends an answer.

    Examples:

        seedtune chat run

        seedtune chat bundle --system "Answer in one sentence." --temperature 0.7
    """
    console = Console(stderr=True)
    asks = sys.stdin.isatty()
    with seedtune.open(model, bundle=bundle, step=step, state=state, threads=threads) as opened:
        opened.bundle.require_graph(DECODE)
        messages = [{"role": "system", "content": system}] if system is not None else []
        answers = 0
        while True:
            if asks:
                console.print("> ", end="", highlight=False)
            line = sys.stdin.readline()
            if not line:
                return
            if not line.strip():
                continue
            asked = [*messages, {"role": "user", "content": line.rstrip("\r\n")}]
            drawn = (seed + answers) % (MAX_SEED + 1)
            try:
                answer = opened.generate(asked, max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=drawn)
            except SeedTuneError as error:
                if not asks:
                    raise
                console.print(str(error), highlight=False, markup=False)
                continue
            try:
                for piece in answer:
                    write_text(piece)
            except KeyboardInterrupt:
                console.print(" (ended)", highlight=False)
            write_text("\n")
            answers += 1
            messages = [*asked, {"role": "assistant", "content": answer.text_so_far}]
