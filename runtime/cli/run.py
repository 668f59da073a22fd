"""``seedtune run``: tune a bundle on labelled rows."""

from __future__ import annotations

import enum
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from seedtune.runtime.cli.options import (
    CacheLimitOption,
    CacheOption,
    JsonOption,
    MemoryLimitOption,
    ThreadsOption,
    parse_size,
    print_json,
)
from seedtune.runtime.model.feeders import CacheOptions
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.start import start_or_resume
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import RunResult

EXIT_INTERRUPTED = 130
DEFAULTS = Settings()


class ScheduleName(enum.StrEnum):
    """How the learning rate falls over the run."""

    LINEAR = "linear"
    COSINE = "cosine"
    CONSTANT = "constant"


def run_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The RUN folder to write.")],
    train: Annotated[Path | None, typer.Option(help="Labelled rows to learn from (JSONL, CSV, TSV, Parquet).")] = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--eval", help="Labelled rows to evaluate on; the best state is kept by them."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help=f"Updates to make. [default: {DEFAULTS.steps}]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Examples a step. [default: by a short measurement with scope suffix, else 32]")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help=f"How far a typical step moves every parameter. [default: {DEFAULTS.learning_rate}]"),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(help=f"Half the distance between the two sides. [default: {DEFAULTS.epsilon}]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=f"Everything random follows from it. [default: {DEFAULTS.seed}]")
    ] = None,
    schedule: Annotated[
        ScheduleName | None, typer.Option(help=f"How the learning rate falls. [default: {DEFAULTS.schedule}]")
    ] = None,
    eval_every: Annotated[
        int | None, typer.Option(help=f"Steps between evaluations. [default: {DEFAULTS.eval_every}]")
    ] = None,
    rows_per_call: Annotated[
        int | None,
        typer.Option(help=f"Token rows a call, both sides; bounds memory. [default: {DEFAULTS.rows_per_call}]"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out; options default to its own.")
    ] = False,
    cache: CacheOption = None,
    cache_limit: CacheLimitOption = None,
    memory_limit: MemoryLimitOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Tune a bundle with forward passes only. Ctrl-C stops cleanly; `--resume` goes on.

    Examples:

        seedtune run bundle --train train.jsonl --eval validation.jsonl --out run

        seedtune run bundle --out run --resume

        seedtune run bundle --train train.csv --out run --steps 1000 --batch-size 16 --learning-rate 0.01 --seed 7

        seedtune run bundle --train train.jsonl --out run --memory-limit 256Mi
    """
    given = {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "epsilon": epsilon,
        "seed": seed,
        "schedule": schedule.value if schedule else None,
        "eval_every": eval_every,
        "rows_per_call": rows_per_call,
    }
    options = {name: value for name, value in given.items() if value is not None}
    with RunFolder(out, resume=resume) as folder:
        limit_bytes = parse_size(cache_limit, "--cache-limit") if cache_limit is not None else None
        caches = CacheOptions(cache or folder.prefixes, limit_bytes)
        memory_bytes = parse_size(memory_limit, "--memory-limit") if memory_limit is not None else None
        run = start_or_resume(bundle, folder, train, held_out, options, threads, caches, memory_bytes)
        with _clean_stop() as stop, RunProgress(run.settings.steps) as progress:
            result = run.execute(progress, stop)
    _summarise(result, out, cache)
    if json:
        print_json(msgspec.structs.asdict(result))
    if result.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


@contextmanager
def _clean_stop() -> Iterator[_StopFlag]:
    """A flag that Ctrl-C (or a polite kill) sets; the second one interrupts at once, as usual."""
    flag = _StopFlag()
    before = {number: signal.signal(number, flag.set) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _StopFlag:
    def __init__(self) -> None:
        self._wanted = False

    def set(self, _number: int, _frame: object) -> None:
        if self._wanted:
            raise KeyboardInterrupt
        self._wanted = True

    def __call__(self) -> bool:
        return self._wanted


def _summarise(result: RunResult, out: Path, cache: Path | None) -> None:
    console = Console(stderr=True)
    parts = [
        f"{'stopped' if result.interrupted else 'done'} after {result.steps} steps in {result.seconds_total:.0f} s"
    ]
    if result.loss_start is not None and result.loss_end is not None:
        parts.append(f"loss {result.loss_start:.4f} -> {result.loss_end:.4f}")
    if result.accuracy_start is not None and result.accuracy_best is not None:
        parts.append(
            f"held-out {result.accuracy_start:.1%} -> {result.accuracy_best:.1%} (best, step {result.best_step})"
        )
    if result.prefix_padding_share is not None:
        parts.append(
            f"padding {result.padding_share or 0:.0%} of computed, {result.prefix_padding_share:.0%} of cached"
        )
    if result.rss_anon_peak_bytes is not None:
        parts.append(f"RssAnon peak {result.rss_anon_peak_bytes / 1e6:.0f} MB")
    if result.memory_limit_bytes is not None and result.vm_hwm_bytes is not None:
        parts.append(f"at most {result.vm_hwm_bytes / 1e6:.0f} MB of {result.memory_limit_bytes / 1e6:.0f} MB in all")
    console.print("; ".join(parts), highlight=False, soft_wrap=True)
    console.print(f"seedtune report {out}", highlight=False, soft_wrap=True)
    if result.interrupted:
        same_cache = f" --cache {cache}" if cache else ""
        again = f"go on with: seedtune run BUNDLE --out {out} --resume{same_cache}"
        console.print(again, highlight=False, soft_wrap=True)
