"""The rows of every task of the bench, in three parts that share no text: to learn, to choose by, to measure on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.accuracy.fortunes import fortune_rows
from review_demo.reviews import write_splits
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import permutation
from seedtune.runtime.task.definition import Task, load_task

TASKS = Path(__file__).parent / "tasks"
PARTS = ("train", "validation", "test")
SEED = 20261126
Row = dict[str, str]


@dataclass(frozen=True)
class Sizes:
    """How many rows of each part are wanted at most."""

    train: int = 512
    validation: int = 256
    test: int = 512


@dataclass(frozen=True)
class Corpus:
    """A task and its rows, by part; ``file`` is what `seedtune export --task` is given."""

    name: str
    file: str
    task: Task
    rows: dict[str, list[Row]]


def reviews(_data: Path, output: Path) -> dict[str, list[Row]]:
    """The demo's movie reviews."""
    return {name: _lines(path) for name, path in write_splits(output / "data").items()}


def tweets(kind: str) -> Callable[[Path, Path], dict[str, list[Row]]]:
    """The tweets of ``kind``, from files that are no part of the project."""

    def read(data: Path, _output: Path) -> dict[str, list[Row]]:
        files = {part: data / f"tweets-{kind}-{part}.jsonl" for part in PARTS}
        missing = [path for path in files.values() if not path.is_file()]
        if missing:
            raise SeedTuneError(
                f"the tweets of this task are not here ({kind})",
                file=missing[0],
                rule=", ".join(path.name for path in files.values()),
                remedy="name the folder that has them with --data, or leave the task out with --tasks",
            )
        return {part: _lines(path) for part, path in files.items()}

    return read


def fortunes(_data: Path, _output: Path) -> dict[str, list[Row]]:
    """Sayings and their topics: half to learn from, an eighth to choose by, the rest to measure on."""
    rows = fortune_rows()
    half, more = len(rows) // 2, len(rows) // 2 + len(rows) // 8
    return {"train": rows[:half], "validation": rows[half:more], "test": rows[more:]}


SOURCES: dict[str, tuple[str, Callable[[Path, Path], dict[str, list[Row]]]]] = {
    "reviews": ("sentiment", reviews),
    "irony": (str(TASKS / "irony.toml"), tweets("irony")),
    "tweet-sentiment": (str(TASKS / "tweet-sentiment.toml"), tweets("sentiment")),
    "fortunes": (str(TASKS / "fortunes.toml"), fortunes),
}


def corpus(name: str, data: Path, output: Path, sizes: Sizes) -> Corpus:
    """The task ``name`` with its rows.

    Args:
        name: one of SOURCES.
        data: the folder of the tweets.
        output: a folder for what is made.
        sizes: of the parts; each is drawn from a fixed seed out of what the source has.

    Raises:
        SeedTuneError: there is no such task, or its rows are not to be had.
    """
    if name not in SOURCES:
        raise SeedTuneError("there is no such task", value=name, rule=", ".join(SOURCES))
    file, read = SOURCES[name]
    return Corpus(name, file, load_task(file), parted(read(data, output), sizes))


def corpora(names: Sequence[str], data: Path, output: Path, sizes: Sizes) -> list[Corpus]:
    """The tasks called ``names``; where there are none, all whose rows are to be had: the others are named.

    Args:
        names: of SOURCES.
        data: the folder of the tweets.
        output: a folder for what is made.
        sizes: of the parts.

    Raises:
        SeedTuneError: a task that was named is not to be had.
    """
    found = []
    for name in names or SOURCES:
        try:
            found.append(corpus(name, data, output, sizes))
        except SeedTuneError as error:
            if names:
                raise
            print(f"task {name} is left out: {error}", file=sys.stderr)
    return found


def parted(rows: dict[str, list[Row]], sizes: Sizes) -> dict[str, list[Row]]:
    """``rows`` cut to ``sizes``, no text in two parts: what is measured on keeps a text that others have too."""
    seen: set[str] = set()
    found = {}
    for part in reversed(PARTS):
        kept = _once(rows[part], seen)
        seen |= {row["text"] for row in kept}
        found[part] = [kept[index] for index in permutation(SEED, len(kept))[: getattr(sizes, part)]]
    return {part: found[part] for part in PARTS}


def write_rows(rows: Iterable[Row], path: Path) -> Path:
    """Writes ``rows`` as JSON lines, for the command line; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def _once(rows: list[Row], seen: set[str]) -> list[Row]:
    first: dict[str, Row] = {}
    for row in rows:
        if row["text"] not in seen:
            first.setdefault(row["text"], row)
    return list(first.values())


def _lines(path: Path) -> list[Row]:
    # A text may hold other characters that end a line.
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
