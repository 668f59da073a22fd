"""The data of a run: the files that are asked for, or those that a resumed run was begun with."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_utf8
from seedtune.runtime.model.splits import Split, load_split
from seedtune.runtime.telemetry.records import DataFileInfo, RunDescription


def load_data(
    bundle: Bundle,
    train: Path | None,
    held_out: Path | None,
    data_format: str | None = None,
    begun: RunDescription | None = None,
) -> tuple[Split, Split | None]:
    """Reads and encodes the rows of a run.

    Args:
        bundle: whose task they are for.
        train: training rows; None for those of ``begun``.
        held_out: evaluation rows; None for those of ``begun``, or for none.
        data_format: of both; None for what their endings say.
        begun: the run that is resumed.

    Raises:
        SeedTuneError: they are not there, a pipe is asked for twice, or a row cannot be used.
    """
    if begun:
        train = train or _recorded(begun.data.train, "training", "--train")
        held_out = held_out or (_recorded(begun.data.eval, "held-out", "--eval") if begun.data.eval else None)
    if train is None:
        raise SeedTuneError("a new run needs training rows", rule="--train FILE", remedy="add --train")
    if train == held_out and (str(train) == "-" or train.is_fifo()):
        raise SeedTuneError(
            "training rows and held-out rows are to come from one pipe, which can be read only once",
            file=train,
            rule="at most one of them from standard input",
            remedy="write one of them to a file",
        )
    for path in filter(None, (train, held_out)):
        # run.json names them.
        require_utf8(path.absolute())
    task = bundle.compiled_task()
    return load_split(train, task, data_format), load_split(held_out, task, data_format) if held_out else None


def _recorded(info: DataFileInfo, name: str, option: str) -> Path:
    path = Path(info.path)
    # Not even a pipe of that name: nobody may be writing to it, and then it is waited for in vain.
    if not path.is_file():
        came = "came from standard input" if info.path == "-" else "are not where they were"
        raise SeedTuneError(
            f"the {name} rows of this run {came}",
            file=None if info.path == "-" else path,
            rule=f"{info.rows:,} rows with SHA-256 {info.sha256}",
            remedy=f"give them again with {option}",
        )
    return path
