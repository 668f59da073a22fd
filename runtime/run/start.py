"""Reads and checks everything that a run is made of, new or resumed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.feeders import CacheOptions
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.model.splits import Split, load_split
from seedtune.runtime.run.choose_batch import MANY
from seedtune.runtime.run.driver import Run
from seedtune.runtime.run.folder import RunFolder, recorded_settings
from seedtune.runtime.run.resume import require_same_run
from seedtune.runtime.run.settings import BATCH_SIZE_OF_WHOLE_ROWS, Settings
from seedtune.runtime.telemetry.run_files import read_description
from seedtune.runtime.trim import trim


def start_or_resume(
    bundle_path: Path,
    folder: RunFolder,
    train: Path | None,
    held_out: Path | None,
    options: dict[str, int | float | str],
    threads: int | None = None,
    cache: CacheOptions | None = None,
    memory_limit_bytes: int | None = None,
) -> Run:
    """The run in ``folder``, new or resumed, with everything read and checked.

    Args:
        bundle_path: the bundle.
        folder: held open; its ``resume`` decides.
        train: training rows; a resumed run may leave it out.
        held_out: evaluation rows, or None.
        options: the settings that were given; the others are defaults, or what a resumed run was begun with.
        threads: of ONNX Runtime.
        cache: where prefixes are kept; None for the RUN folder.
        memory_limit_bytes: of everything the process holds; None for no limit.

    Raises:
        SeedTuneError: anything the user can put right.
    """
    description = read_description(folder.path) if folder.resume else None
    if description:
        train = train or Path(description.data.train.path)
        held_out = held_out or (Path(description.data.eval.path) if description.data.eval else None)
    if train is None:
        raise SeedTuneError("a new run needs training rows", rule="--train FILE", remedy="add --train")
    recorded = recorded_settings(description, folder.path) if description else None
    settings = msgspec.structs.replace(recorded or Settings(), **options)
    settings.check()
    bundle = Bundle.open(bundle_path)
    train_split, eval_split = _load(bundle, train, held_out)
    trim()
    cache = cache or CacheOptions(folder.prefixes)
    if memory_limit_bytes is not None:
        splits = [split for split in (train_split, eval_split) if split]
        fixed = recorded is not None or "rows_per_call" in options
        bundle = limit_memory(
            bundle,
            [example for split in splits for example in split.examples],
            memory_limit_bytes,
            examples_at_once=settings.batch_size
            or (BATCH_SIZE_OF_WHOLE_ROWS if bundle.manifest.scope == "all" else MANY),
            cached=cache.folder is not None and cache.limit_bytes is None,
            tokens_per_call=max(1, settings.rows_per_call // 2) if fixed else None,
        )
        if bundle.memory and not fixed:
            settings = msgspec.structs.replace(settings, rows_per_call=2 * bundle.memory.tokens_per_call)
    if description:
        require_same_run(description, bundle, settings, train_split, eval_split, folder.path)
    return Run(folder, bundle, settings, train_split, eval_split, threads, cache)


def _load(bundle: Bundle, train: Path, held_out: Path | None) -> tuple[Split, Split | None]:
    task = bundle.compiled_task()
    return load_split(train, task), load_split(held_out, task) if held_out else None
