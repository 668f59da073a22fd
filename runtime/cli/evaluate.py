"""``seedtune eval``: accuracy and loss of a bundle or a run on labelled rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from seedtune.runtime.cli.options import (
    CacheLimitOption,
    CacheOption,
    JsonOption,
    MemoryLimitOption,
    ThreadsOption,
    parse_size,
    print_json,
)
from seedtune.runtime.files import write_durably
from seedtune.runtime.model.evaluation import Evaluation, evaluate
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.limit import examples_of_evaluation, limit_memory
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.model.tuned import open_tuned
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.trim import trim


def evaluate_command(
    model: Annotated[Path, typer.Argument(help="A bundle, or a RUN folder (its best state).", show_default=False)],
    data: Annotated[Path, typer.Option(help="Labelled rows (JSONL, CSV, TSV, Parquet).")],
    bundle: Annotated[Path | None, typer.Option(help="Where the run's bundle is, if it was moved.")] = None,
    step: Annotated[int | None, typer.Option(min=0, help="The state after this many steps, not the best.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Also write one JSON line a row to this file.")] = None,
    rows_per_call: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Token rows a call. [default: {Settings().rows_per_call}]",
        ),
    ] = None,
    cache: CacheOption = None,
    cache_limit: CacheLimitOption = None,
    memory_limit: MemoryLimitOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate a bundle as it is, or what a run made of it.

    Examples:

        seedtune eval bundle --data test.jsonl

        seedtune eval run --data test.jsonl --json
    """
    started = time.monotonic()
    console = Console(stderr=True)
    tuned = open_tuned(model, bundle=bundle, step=step)
    split = load_split(data, tuned.bundle.compiled_task())
    trim()
    cache_bytes = parse_size(cache_limit, "--cache-limit") if cache_limit is not None else None
    opened = tuned.bundle
    rows = rows_per_call or Settings().rows_per_call
    if memory_limit is not None:
        opened = limit_memory(
            opened,
            split.examples,
            parse_size(memory_limit, "--memory-limit"),
            examples_at_once=examples_of_evaluation(split.examples),
            cached=cache is not None and cache_bytes is None,
            tokens_per_call=max(1, rows_per_call // 2) if rows_per_call else None,
        )
    if opened.memory:
        rows = 2 * opened.memory.tokens_per_call
        console.print(str(opened.memory), markup=False, highlight=False, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        feeder = open_feeder(
            opened,
            split.examples,
            name=data.stem,
            cache=CacheOptions(cache, cache_bytes),
            threads=threads,
            bar=lambda name, total: bar_of(progress, name, total),
            notice=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
        result = evaluate(
            opened.graph("eval", threads),
            tuned.state.values,
            feeder,
            rows=rows,
            advance=bar_of(progress, "evaluating", len(split.examples)),
        )
    if predictions is not None:
        pairs = zip(split.rows, _each(result), strict=True)
        lines = [msgspec.json.encode({"fields": row.fields} | about) for row, about in pairs]
        write_durably(predictions, b"\n".join(lines) + b"\n")
    measure = "accuracy" if result.probabilities is not None else "token accuracy"
    of = f" (state after {tuned.step} steps)" if tuned.run else ""
    console.print(
        f"{model}{of}: {measure} {result.accuracy:.2%}, loss {result.loss:.4f}, {len(split.examples)} examples",
        highlight=False,
        soft_wrap=True,
    )
    if json:
        print_json(
            {
                "accuracy": result.accuracy,
                "loss": result.loss,
                "examples": len(split.examples),
                "step": tuned.step,
                "state_sha256": tuned.state.sha256(),
                "seconds": time.monotonic() - started,
            }
        )


def bar_of(progress: Progress, name: str, total: int) -> Callable[[int], None]:
    """A new bar of ``progress``; call the result with how many more units are done."""
    task = progress.add_task(name, total=total)
    return lambda count: progress.advance(task, count)


def _each(result: Evaluation) -> list[dict[str, object]]:
    """What is said of each row: its prediction, or how well its response was foreseen."""
    predicted, probabilities = result.predictions, result.probabilities
    if predicted is None or probabilities is None:
        pairs = zip(result.scores.tolist(), result.losses.tolist(), strict=True)
        return [{"token_accuracy": score, "loss": loss} for score, loss in pairs]
    return [
        {"label": label, "prediction": prediction, "probabilities": of_labels}
        for label, prediction, of_labels in zip(
            result.labels.tolist(), predicted.tolist(), probabilities.tolist(), strict=True
        )
    ]
