"""``seedtune eval``: accuracy and loss of a bundle or a run on labelled rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.evaluate_heads import tell_quality
from seedtune.runtime.cli.options import (
    BundleOption,
    CacheLimitOption,
    CacheOption,
    DataFormatOption,
    JsonOption,
    MemoryLimitOption,
    ModelArgument,
    StateOption,
    StepOption,
    ThreadsOption,
    print_json,
)
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.model.model import ROWS_PER_CALL
from seedtune.runtime.telemetry.progress import RunProgress


def evaluate_command(
    model: ModelArgument,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled rows (JSONL, CSV, TSV, Parquet), or - for standard input; a bundle of heads brings its own.",
            show_default=False,
        ),
    ] = None,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    predictions: Annotated[Path | None, typer.Option(help="Also write one JSON line a row to this file.")] = None,
    rows_per_call: Annotated[
        int | None, typer.Option(min=1, help=f"Token rows a call. [default: {ROWS_PER_CALL}]")
    ] = None,
    data_format: DataFormatOption = None,
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

        zcat test.tsv.gz | seedtune eval run --data - --data-format tsv

        seedtune eval run-of-heads
    """
    started = time.monotonic()
    console = Console(stderr=True)
    if predictions is not None:
        require_writable(predictions)
    with seedtune.open(
        model, bundle=bundle, step=step, state=state, memory_limit=memory_limit, threads=threads
    ) as opened:
        of_heads = opened.bundle.manifest.objective.brings_rows
        rows = None if of_heads or data is None else opened.rows(data, data_format=data_format)
        with RunProgress(console) as progress:
            result = opened.evaluate(
                data if rows is None else rows,
                rows_per_call=rows_per_call,
                cache=cache,
                cache_limit=cache_limit,
                on=progress.on,
            )
        if predictions is not None:
            named = [{} for _ in result.losses] if rows is None else [{"fields": row.fields} for row in rows]
            pairs = zip(named, _each(result), strict=True)
            lines = [msgspec.json.encode(fields | about) for fields, about in pairs]
            write_durably(predictions, b"\n".join(lines) + b"\n")
        more = tell_quality(console, model, opened, result) if of_heads else {}
        measure = "accuracy" if result.probabilities is not None else "token accuracy"
        of = f" (state after {opened.step} steps)" if opened.is_run else ""
        console.print(
            f"{model}{of}: {measure} {result.accuracy:.2%}, loss {result.loss:.4f}, {len(result.losses)} examples",
            highlight=False,
            soft_wrap=True,
        )
        if json:
            print_json(
                {
                    "accuracy": result.accuracy,
                    "loss": result.loss,
                    "examples": len(result.losses),
                    "step": opened.step,
                    "state_sha256": opened.state.sha256(),
                    "seconds": time.monotonic() - started,
                }
                | more
            )


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
