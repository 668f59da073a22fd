"""``seedtune predict``: the label of a text, or of many rows as they come."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import (
    BundleOption,
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
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.predicting import ROWS_AT_ONCE, Prediction
from seedtune.runtime.task.structure import only_field


def predict_command(
    model: ModelArgument,
    text: Annotated[
        str | None, typer.Argument(help="The text of the one field of the task's template.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Rows instead (JSONL, CSV, TSV, Parquet), or - for standard input.")
    ] = None,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    rows_at_once: Annotated[int, typer.Option(min=1, help="Rows that are answered together.")] = ROWS_AT_ONCE,
    data_format: DataFormatOption = None,
    cache: CacheOption = None,
    memory_limit: MemoryLimitOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Predict the label of a text, or of rows without labels.

    With `--data` there is one JSON line a row: `fields`, `label`, `probabilities`. JSON lines on standard input are
    answered as they come.

    Examples:

        seedtune predict run "A film well worth seeing."

        seedtune predict run --data reviews.csv > labelled.jsonl

        tail -f reviews.jsonl | seedtune predict run --data -
    """
    if (text is None) == (data is None):
        raise SeedTuneError(
            "nothing to predict" if text is None else "a text and rows",
            rule="one of them: a text, or rows with --data",
            remedy="see seedtune predict --help",
        )
    started = time.monotonic()
    console = Console(stderr=True)
    with seedtune.open(
        model, bundle=bundle, step=step, state=state, memory_limit=memory_limit, threads=threads
    ) as opened:
        one: dict[str, Any] = {}
        count = 0
        if data is not None:
            found = opened.predictions(data, data_format=data_format, rows_at_once=rows_at_once, cache=cache)
            for each in found:
                print(msgspec.json.encode(each).decode(), flush=True)
                count += 1
        else:
            rows = [{only_field(opened.bundle.manifest.language_model.task, "give rows with --data"): text}]
            (prediction,) = opened.predictions(rows, cache=cache)
            one = {"label": prediction.label, "probabilities": prediction.probabilities}
            if not json:
                print(_table(prediction))
        seconds = time.monotonic() - started
        if data is not None:
            console.print(f"{count:,} rows in {seconds:.1f} s", highlight=False)
        if json:
            about = {"step": opened.step, "state_sha256": opened.state.sha256()}
            print_json({**one, "rows": count or 1, **about, "seconds": seconds})


def _table(prediction: Prediction) -> str:
    """A line a label, the likeliest first."""
    width = max(map(len, prediction.probabilities))
    ordered = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    return "\n".join(f"{name:{width}}  {probability:7.2%}" for name, probability in ordered)
