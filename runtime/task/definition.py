"""A task file: TOML, checked when it is loaded.

    name = "sentiment"
    kind = "classification"
    template = "Review: {text}\\nSentiment:"   # named fields; {{ and }} stand for braces
    truncate = "text"                         # the field shortened, from its right, when a row is too long
    max_tokens = 128
    max_characters = 20000                    # per field; a longer one is refused
    label_field = "label"

    [[labels]]
    value = "0"                               # as in the data
    name = "negative"                         # for people; also accepted in the data
    word = " negative"                        # what the model is asked to say; one token

    [masked]                                  # for masked language models, where {mask} marks the label's place
    template = "{text} It was {mask}."
    words = { "0" = " terrible", "1" = " great" }
"""

from __future__ import annotations

import difflib
import importlib.resources
import string
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from seedtune.runtime.errors import SeedTuneError

Family = Literal["causal", "masked"]
MASK_FIELD = "mask"


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label: its ``value`` in the data, its ``name`` for people, its ``word`` for the model."""

    value: str
    word: str
    name: str = ""

    @property
    def spoken(self) -> str:
        """The name, or the word without surrounding space."""
        return self.name or self.word.strip()


class MaskedVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a masked language model is asked instead; ``words`` maps label values to words."""

    template: str
    words: dict[str, str] = {}


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A classification task by label words; see the module docstring."""

    name: str
    kind: Literal["classification"]
    template: str
    labels: tuple[Label, ...]
    truncate: str = ""
    max_tokens: int = 128
    max_characters: int = 20_000
    label_field: str = "label"
    masked: MaskedVariant | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The data fields of the template, in order of appearance, each once."""
        return tuple(dict.fromkeys(name for _, name in parts(self.template) if name and name != MASK_FIELD))

    @property
    def shortened_field(self) -> str:
        """The field that is cut when a row is too long."""
        return self.truncate or self.fields[0]

    def for_family(self, family: Family) -> Task:
        """The task as a model of ``family`` is asked it; the result has no variants.

        Raises:
            SeedTuneError: the template does not suit the family.
        """
        task = self
        if family == "masked" and self.masked is not None:
            words = self.masked.words
            labels = tuple(msgspec.structs.replace(label, word=words.get(label.value, label.word)) for label in self.labels)
            task = msgspec.structs.replace(self, template=self.masked.template, labels=labels)
        masks = sum(name == MASK_FIELD for _, name in parts(task.template))
        if masks != (1 if family == "masked" else 0):
            raise SeedTuneError(
                f"the template of task {self.name!r} does not suit a {family} language model",
                value=task.template,
                rule="exactly one {mask} for a masked language model, none for a causal one",
                remedy="add a [masked] table with a template that has {mask}"
                if family == "masked"
                else "let the template end where the label word follows, without {mask}",
            )
        return msgspec.structs.replace(task, masked=None)


def parts(template: str) -> list[tuple[str, str | None]]:
    """``template`` as (fixed text, field name or None) pairs.

    Raises:
        SeedTuneError: unbalanced braces, an unnamed field, or a format specification.
    """
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SeedTuneError(
            f"the template cannot be read ({error})", value=template, rule="{field}; {{ and }} stand for braces"
        ) from error
    for _, name, specification, conversion in pieces:
        if name is not None and (not name.isidentifier() or specification or conversion):
            raise SeedTuneError(
                "the template has a field that is not a plain name", value=name, rule="{field}; {{ and }} stand for braces"
            )
    return [(text, name) for text, name, _, _ in pieces]


def builtin_tasks() -> list[str]:
    """Names of the tasks that come with seedtune."""
    folder = importlib.resources.files(__package__) / "builtin"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_task(name_or_path: str) -> Task:
    """The built-in task of that name, or the task file at that path.

    Raises:
        SeedTuneError: no such task or file, no valid TOML, a field missing, unknown or out of range.
    """
    if name_or_path in builtin_tasks():
        text = (importlib.resources.files(__package__) / "builtin" / f"{name_or_path}.toml").read_text("utf-8")
        return parse_task(text, f"built-in task {name_or_path}")
    path = Path(name_or_path)
    if not path.is_file():
        close = difflib.get_close_matches(name_or_path, builtin_tasks(), 1)
        raise SeedTuneError(
            "no such task",
            value=name_or_path,
            rule=f"a built-in task ({', '.join(builtin_tasks())}) or the path of a TOML file",
            remedy=f"did you mean {close[0]}?" if close else "see docs/tasks.md for how to write one",
        )
    try:
        return parse_task(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise SeedTuneError("the task file is not UTF-8", file=path, value=f"byte {error.start}") from error


def parse_task(text: str, file: str) -> Task:
    """The task in ``text`` (TOML); ``file`` names it in errors.

    Raises:
        SeedTuneError: see :func:`load_task`.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SeedTuneError(f"the task file is not valid TOML: {error}", file=file) from error
    try:
        task = msgspec.convert(raw, Task)
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            f"the task file does not follow its format: {error}", file=file, remedy="see docs/tasks.md for the fields"
        ) from error
    _check(task, file)
    return task


def _check(task: Task, file: str) -> None:
    def require(holds: bool, what: str, value: object, rule: str) -> None:
        if not holds:
            raise SeedTuneError(what, file=file, value=value, rule=rule, remedy="change the task file")

    values = [label.value for label in task.labels]
    words = [label.word for label in task.labels]
    require(len(values) >= 2, "a task needs labels to choose from", values, "at least two [[labels]]")
    require(len(set(values)) == len(values), "two labels have the same value", values, "every value once")
    require(len(set(words)) == len(words), "two labels have the same word", words, "every word once")
    require(all(word.strip() for word in words), "a label word is empty", words, "a word")
    require(bool(task.fields), "the template has no field", task.template, "at least one {field}")
    require(
        not task.truncate or task.truncate in task.fields,
        "the field to truncate is not in the template",
        task.truncate,
        f"one of {', '.join(task.fields)}",
    )
    require(task.max_tokens > 0, "max_tokens is out of range", task.max_tokens, "> 0")
    require(task.max_characters > 0, "max_characters is out of range", task.max_characters, "> 0")
    require(
        task.label_field not in task.fields,
        "the template shows the label",
        task.label_field,
        "the label field is not a field of the template",
    )
    if task.masked is not None:
        unknown = sorted(set(task.masked.words) - set(values))
        require(not unknown, "[masked] has words for labels that do not exist", unknown, f"label values: {values}")
        fields = {name for _, name in parts(task.masked.template) if name and name != MASK_FIELD}
        require(
            fields <= set(task.fields),
            "the [masked] template has a field that the template does not have",
            sorted(fields - set(task.fields)),
            f"fields: {', '.join(task.fields)}",
        )
