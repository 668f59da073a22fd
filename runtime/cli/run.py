"""``seedtune run``: tune a bundle on labelled rows."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

import seedtune
from seedtune.runtime.cli.options import (
    EXIT_INTERRUPTED,
    CacheLimitOption,
    CacheOption,
    DataFormatOption,
    JsonOption,
    MemoryLimitOption,
    ThreadsOption,
    print_json,
)
from seedtune.runtime.cli.settings_options import with_settings
from seedtune.runtime.run.config_file import read_settings
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import RunResult

# What ended a run before its last step, in the last line for people.
ENDED_BY = {
    "patience": " (held-out loss fell no more)",
    "budget": " (the budget is used up)",
    "choice": " (none was worth making)",
}


@with_settings
def run_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The RUN folder to write.")],
    train: Annotated[
        Path | None,
        typer.Option(help="Labelled rows to learn from (JSONL, CSV, TSV, Parquet), or - for standard input."),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--eval", help="Labelled rows to evaluate on; the best state is kept by them."),
    ] = None,
    held_out_rows: Annotated[
        int | None,
        typer.Option(
            help="Without --eval: how many training rows to evaluate on, and not learn from; 0 for none. Default: a "
            "fifth, at most 256; none where that is fewer than 20.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Take about so much time in all, such as 90s, 10m or 1h30m: short trials choose what is left out.",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="End after so many evaluations without less held-out loss; 0 for never. Default: 8 with --budget, "
            "never without it.",
        ),
    ] = None,
    data_format: DataFormatOption = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings in a TOML file, or run.json of an earlier run; options given here win."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out; options default to its own. If it holds none, --train starts one.",
        ),
    ] = False,
    cache: CacheOption = None,
    cache_limit: CacheLimitOption = None,
    memory_limit: MemoryLimitOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
    **settings: Any,
) -> None:
    """Tune a bundle with forward passes only. Ctrl-C stops cleanly; `--resume` goes on.

    Examples:

        seedtune run bundle --train train.jsonl --eval validation.jsonl --out run

        seedtune run bundle --train train.jsonl --out run --budget 10m

        seedtune run bundle --out run --resume

        seedtune run bundle --train train.csv --out run --steps 1000 --batch-size 16 --learning-rate 0.01 --seed 7

        seedtune run bundle --train train.jsonl --out run --memory-limit 256Mi

        seedtune run bundle --train train.jsonl --out run --config run.toml --optimizer momentum

        seedtune run bundle-of-heads --out run
    """
    # Whether there must be a run to resume is a question to the bundle; the rest is known before it is read.
    RunFolder(out, resume=resume, may_start=True).check()
    with seedtune.open(bundle, memory_limit=memory_limit, threads=threads) as model:
        brings_rows = model.bundle.manifest.objective.brings_rows
        folder = RunFolder(out, resume=resume, may_start=train is not None or brings_rows)
        folder.check()
        given = (read_settings(config, settings, folder.resumes) if config else {}) | settings
        tuning = model.tune(
            train,
            held_out,
            out=out,
            held_out_rows=held_out_rows,
            budget=budget,
            patience=patience,
            data_format=data_format,
            resume=resume,
            cache=cache,
            cache_limit=cache_limit,
            **given,
        )
        with _clean_stop() as wanted, RunProgress() as progress:
            for event in tuning:
                progress.on(event)
                if wanted():
                    tuning.stop()
    result = tuning.result
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


def _held_out(result: RunResult) -> str:
    """Accuracy from the untouched model to the best state behind a step, in one line, and which is kept."""
    tuned = f"tuned, step {result.best_step}" if result.stands_for == "tuned" else "tuned at best"
    stages = [
        ("zero-shot", result.accuracy_zero_shot),
        ("linear probe", result.accuracy_linear_probe),
        (tuned, result.accuracy_tuned),
    ]
    line = " -> ".join(f"{accuracy:.1%} ({name})" for name, accuracy in stages if accuracy is not None)
    if result.stands_for == "tuned":
        return f"held-out {line}"
    kept = "the untouched model" if result.stands_for == "zero-shot" else "the linear probe"
    return f"held-out {line}; no step was better by loss: {kept} is what the run stands for"


def _summarise(result: RunResult, out: Path, cache: Path | None) -> None:
    console = Console(stderr=True)
    ended = f"{'stopped' if result.interrupted else 'done'} after {result.steps} steps in {result.seconds_total:.0f} s"
    parts = [ended + ENDED_BY.get(result.ended_by or "", "")]
    if result.loss_start is not None and result.loss_end is not None:
        parts.append(f"loss {result.loss_start:.4f} -> {result.loss_end:.4f}")
    if result.accuracy_best is not None:
        parts.append(_held_out(result))
    if result.context_padding_share is not None:
        parts.append(
            f"padding {result.padding_share or 0:.0%} of computed, {result.context_padding_share:.0%} of cached"
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
