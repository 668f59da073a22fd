"""Task files, and the tasks that come with seedtune. What a task is stands in structure.py.

    name = "sentiment"
    kind = "classification"
    template = "Review: {text}\\nSentiment:"   # named fields; {{ and }} stand for braces
    truncate = "text"                         # the field shortened, from its right end, when a row is too long
    max_tokens = 128
    max_characters = 20000                    # per field; a longer row is refused
    label_field = "label"

    [[labels]]
    value = "0"                               # as in the data
    name = "negative"                         # for people; also accepted in the data
    word = " negative"                        # what the model is asked to say; one token

    [masked]                                  # for masked language models; {mask} marks the label word's place
    template = "{text} It was {mask}."
    words = { "0" = " terrible", "1" = " great" }

What a task does not know is refused, so that a misspelt field cannot silently be a default.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
import tomllib
from pathlib import Path

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Family, Label, MaskedVariant, Task

__all__ = [
    "Family",
    "Label",
    "MaskedVariant",
    "Task",
    "builtin_tasks",
    "load_task",
    "parse_task",
]


def builtin_tasks() -> list[str]:
    """Names of the tasks that come with seedtune, sorted."""
    folder = importlib.resources.files(__package__) / "builtin"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_task(name_or_path: str) -> Task:
    """The built-in task of that name, or the task file at that path.

    A built-in name wins; write ``./sentiment`` for a file that is called like one.

    Raises:
        SeedTuneError: no such task or file, no valid TOML, or a field that is missing, unknown or out of range.
    """
    name_or_path = str(name_or_path)
    names = builtin_tasks()
    if name_or_path in names:
        text = (importlib.resources.files(__package__) / "builtin" / f"{name_or_path}.toml").read_text("utf-8")
        return parse_task(text, f"built-in task {name_or_path}")
    path = Path(name_or_path)
    if not path.is_file():
        close = difflib.get_close_matches(name_or_path, names, 1)
        raise SeedTuneError(
            "no such task",
            value=name_or_path,
            rule=f"a built-in task ({', '.join(names)}) or the path of a TOML file",
            remedy=f"did you mean {close[0]}?" if close else "check the name or the path",
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SeedTuneError(
            "the task file is not UTF-8",
            file=path,
            value=f"byte at offset {error.start}",
            rule="UTF-8 text",
            remedy="save it as UTF-8",
        ) from error
    except OSError as error:
        raise SeedTuneError(
            f"the task file cannot be read ({error.strerror})", file=path, remedy="check the path and its permissions"
        ) from error
    return parse_task(text, str(path))


def parse_task(text: str, file: str) -> Task:
    """The task in ``text`` (TOML); ``file`` names it in errors.

    Raises:
        SeedTuneError: see :func:`load_task`.
    """
    try:
        raw = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError is a ValueError; others are of numbers with more digits than Python reads.
        raise SeedTuneError(
            f"the task file is not valid TOML: {error}",
            file=f"{file}:{_line_of(error, text)}",
            rule="TOML 1.0",
            remedy="correct the line",
        ) from error
    try:
        return msgspec.convert(raw, Task)
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            f"the task file does not follow its format: {error}",
            file=file,
            rule=f"fields: {', '.join(Task.__struct_fields__)}",
            remedy="put the value in quotes" if "Expected `str`" in str(error) else "change the task file",
        ) from error
    except SeedTuneError as error:
        raise error.at(file) from error


def _line_of(error: ValueError | RecursionError, text: str) -> int:
    # The line is an attribute since Python 3.14 only; before, it stands in the message, or "at end of document".
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else text.count("\n") + 1
