"""The data of a run: the files that are asked for, or those that a resumed run was begun with.

Where no held-out rows are given, some of the training rows are: without any a run cannot tell whether it helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_utf8
from seedtune.runtime.model.split_off import SHARE, SMALLEST, default_held_out, split_off
from seedtune.runtime.model.splits import Split, load_split
from seedtune.runtime.telemetry.records import DataFileInfo, RunDescription


@dataclass(frozen=True)
class Data:
    """The rows of a run; ``split_off`` of the training file became ``held_out``, and ``notice`` says how many."""

    train: Split
    held_out: Split | None
    split_off: int = 0
    notice: str = ""


def load_data(
    bundle: Bundle,
    train: Path | None,
    held_out: Path | None,
    data_format: str | None = None,
    begun: RunDescription | None = None,
    *,
    held_out_rows: int | None = None,
    seed: int = 0,
) -> Data:
    """Reads and encodes the rows of a run.

    Args:
        bundle: whose task they are for.
        train: training rows; None for those of ``begun``.
        held_out: evaluation rows; None for those of ``begun``, or for none.
        data_format: of both; None for what their endings say.
        begun: the run that is resumed.
        held_out_rows: how many training rows become held-out rows where there are no others; None for a fifth, at most
            256 and not fewer than 20, or for those of ``begun``; 0 for none.
        seed: of the run, from which these are drawn.

    Raises:
        SeedTuneError: they are not there, a pipe is asked for twice, or a row cannot be used.
    """
    _check_count(held_out_rows, held_out)
    if begun:
        train = train or _recorded(begun.data.train, "training", "--train")
        if begun.data.eval and not begun.data.split_off and not held_out_rows:
            held_out = held_out or _recorded(begun.data.eval, "held-out", "--eval")
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
    learnt = load_split(train, task, data_format)
    if held_out:
        return Data(learnt, load_split(held_out, task, data_format))
    if held_out_rows is None and begun is not None:
        held_out_rows = begun.data.split_off
    count = default_held_out(len(learnt.rows)) if held_out_rows is None else held_out_rows
    # Other rows than those that a run was begun with are refused as such.
    if not count or (begun is not None and count >= len(learnt.rows)):
        return Data(learnt, None, notice="" if held_out_rows is not None else _too_few(len(learnt.rows)))
    kept, held = split_off(learnt, count, seed)
    told = f"{count:,} of {len(learnt.rows):,} training rows are held out: {len(kept.rows):,} are left to learn from"
    choose = "(--eval FILE for others, --held-out-rows N for more or fewer, 0 for none)"
    return Data(kept, held, count, told if begun else f"{told} {choose}")


def _too_few(rows: int) -> str:
    return (
        f"no held-out rows: a fifth of {rows:,} rows is fewer than {SMALLEST}, and says little "
        f"(--eval FILE, or --held-out-rows {max(1, rows // SHARE)} all the same)"
    )


def _check_count(held_out_rows: int | None, held_out: Path | None) -> None:
    if held_out_rows is None:
        return
    if type(held_out_rows) is not int or held_out_rows < 0:
        raise SeedTuneError(
            "--held-out-rows is out of range",
            value=held_out_rows,
            rule="an integer >= 0",
            remedy="choose another --held-out-rows, or leave it out",
        )
    if held_out_rows and held_out is not None:
        raise SeedTuneError(
            "held-out rows are given, and others asked for",
            value=f"--eval {held_out} --held-out-rows {held_out_rows}",
            rule="one of both",
            remedy="leave one of them out",
        )


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
