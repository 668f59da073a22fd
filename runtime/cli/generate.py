"""``seedtune generate``: a bundle or a run goes on with a text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import (
    BundleOption,
    DataFormatOption,
    JsonOption,
    ModelArgument,
    StateOption,
    StepOption,
    ThreadsOption,
    print_json,
)
from seedtune.runtime.cli.text_output import write_text
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.generate import MAX_TOKENS, Generation
from seedtune.runtime.generation.sampling import MAX_SEED

STDIN = "-"


def generate_command(
    model: ModelArgument,
    prompt: Annotated[
        str | None, typer.Argument(help="What to go on with; - for standard input.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Rows to go on with instead (JSONL, CSV, TSV, Parquet), or - for standard input."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Take the prompt as it is, without the task's template.")] = False,
    chat: Annotated[
        bool, typer.Option("--chat", help="Take the prompt for a message to the model, by its own chat template.")
    ] = False,
    system: Annotated[str | None, typer.Option(help="With --chat: the system's message before it.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate, at most.")] = MAX_TOKENS,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0 for the likeliest token; 1 for the model's own probabilities.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option(help="Draw from the fewest tokens that are so likely together.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the draws; it gives the same text again.")] = 0,
    stop: Annotated[
        list[str] | None, typer.Option(help="End in front of this text; may be given several times.")
    ] = None,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    data_format: DataFormatOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with a text, as a bundle does or as a run has tuned it.

    The prompt is put into the task's template, so that the model is asked as it was tuned. The text appears while it is
    generated. With `--data` there is one JSON line a row: `fields`, `text`, `finish`, `tokens`.

    Examples:

        seedtune generate run "The train leaves at"

        seedtune generate bundle "What is the capital of France?" --chat --max-tokens 40

        seedtune generate run "Once upon a time" --raw --temperature 0.8 --top-p 0.9 --seed 7

        seedtune generate run --data questions.jsonl > answers.jsonl
    """
    _require_one_way(prompt, data, raw, chat, system)
    console = Console(stderr=True)
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "stop": tuple(stop or ()),
    }
    with seedtune.open(model, bundle=bundle, step=step, state=state, threads=threads) as opened:
        totals = _Totals()
        if data is not None:
            for row in opened.rows(data, labelled=False, data_format=data_format):
                text, done = totals.add(opened.generate(row.fields, **options))
                line = {"fields": row.fields, "text": text, "finish": done.finish, "tokens": len(done.ids)}
                print(msgspec.json.encode(line).decode(), flush=True)
        else:
            asked = _asked(sys.stdin.read() if prompt == STDIN else prompt or "", chat, system)
            text, done = totals.add(opened.generate(asked, raw=raw, **options), show=True)
        console.print(totals.summary(), highlight=False, soft_wrap=True)
        if json:
            of_one = {} if data is not None else {"text": text, "finish": done.finish}
            about = {"step": opened.step, "state_sha256": opened.state.sha256()}
            print_json({**of_one, **totals.fields(), **about})


class _Totals:
    """What all texts of the command came to."""

    def __init__(self) -> None:
        self.texts = self.prompt_tokens = self.tokens = 0
        self.prompt_seconds = self.seconds = 0.0

    def add(self, generation: Generation, show: bool = False) -> tuple[str, Generation]:
        """Generates the text to its end, and shows it on the way if asked to."""
        for piece in generation:
            if show:
                write_text(piece)
        if show:
            write_text("\n")
        self.texts += 1
        self.prompt_tokens += len(generation.prompt_ids)
        self.tokens += len(generation.ids)
        self.prompt_seconds += generation.prompt_seconds
        self.seconds += generation.seconds
        return generation.text, generation

    def fields(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "texts": self.texts,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "prompt_seconds": self.prompt_seconds,
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """In one line."""
        rate = f", {self.tokens / self.seconds:.1f} tokens a second" if self.tokens and self.seconds else ""
        return f"{self.prompt_tokens:,} tokens read in {self.prompt_seconds:.1f} s, {self.tokens:,} generated{rate}"


def _asked(text: str, chat: bool, system: str | None) -> str | list[Mapping[str, str]]:
    if not chat:
        return text
    before = [{"role": "system", "content": system}] if system is not None else []
    return [*before, {"role": "user", "content": text}]


def _require_one_way(prompt: str | None, data: Path | None, raw: bool, chat: bool, system: str | None) -> None:
    """Refuses options that contradict each other."""
    wrong: tuple[str, str] | None = None
    if (prompt is None) == (data is None):
        wrong = ("nothing to go on with" if prompt is None else "a prompt and rows", "a prompt, or rows with --data")
    elif raw and chat:
        wrong = "--raw and --chat", "one of them: --chat puts the prompt into the model's chat template"
    elif data is not None and (raw or chat):
        wrong = "--data with --raw or --chat", "rows through the task's template; a prompt for the other two"
    elif system is not None and not chat:
        wrong = "--system without --chat", "a system's message in a conversation"
    if wrong is not None:
        found, rule = wrong
        raise SeedTuneError("the prompt cannot be told", value=found, rule=rule, remedy="see seedtune generate --help")
