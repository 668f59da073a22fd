"""``seedtune cache``: what is kept of rows, computed ahead of a run, here or for a phone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import DataFormatOption, JsonOption, MemoryLimitOption, ThreadsOption, print_json
from seedtune.runtime.model.feeders import contexts_path
from seedtune.runtime.telemetry.progress import RunProgress


def cache_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle with all its files.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Rows (JSONL, CSV, TSV, Parquet), or - for standard input.")],
    out: Annotated[Path, typer.Option(help="Folder of the cache, made if need be.")],
    name: Annotated[
        str,
        typer.Option(
            help="Of the split: `train` or `eval` for the rows and the held-out rows of a run; for `seedtune eval` the "
            "name of the data file without its ending."
        ),
    ] = "train",
    data_format: DataFormatOption = None,
    memory_limit: MemoryLimitOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Compute the contexts of rows ahead of a run; `--cache` of run and eval reads them.

    What the cache has already is not computed again. A phone that is given the cache needs none of the files that
    `seedtune export --context-on-host` keeps apart.

    Examples:

        seedtune cache bundle --data train.jsonl --out contexts

        seedtune cache bundle --data validation.jsonl --out contexts --name eval --memory-limit 256M

        seedtune run bundle --train train.jsonl --eval validation.jsonl --out run --cache contexts
    """
    started = time.monotonic()
    console = Console(stderr=True)
    with (
        seedtune.open(bundle, memory_limit=memory_limit, threads=threads) as opened,
        RunProgress(console) as progress,
    ):
        plan = opened.cache_contexts(data, out, name=name, data_format=data_format, on=progress.on)
        path = contexts_path(opened.bundle, out, name)
    seconds, size_bytes = time.monotonic() - started, path.stat().st_size
    console.print(
        f"{path}: {plan.rows:,} rows, {size_bytes / 1e6:,.1f} MB; {plan.missing_rows:,} computed in {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    if json:
        print_json(
            {
                "cache": str(path),
                "rows": plan.rows,
                "context_tokens": plan.tokens,
                "size_bytes": size_bytes,
                "computed_rows": plan.missing_rows,
                "seconds": seconds,
            }
        )
