"""What a task is: a template, label words, and the limits of a row. See definition.py for its TOML form.

A ``Task`` is checked whenever one is made, from a task file, from a bundle's manifest or in code, so that nothing
behind it meets an unusable one. It knows nothing of tokens: whether a word is one token is checked in compile.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.template import count_masks, template_fields

Family = Literal["causal", "masked"]
# Which tokens of a row the state acts at: those behind its text, the one whose output is scored, or all.
Scope = Literal["suffix", "last", "all"]
# A Kotlin Int holds no more.
MAX_SIZE = 2**31 - 1


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label: its ``value`` in the data, its ``word`` for the model, its ``name`` for people.

    The name is also accepted in the data; without one it is the word without surrounding space.
    """

    value: str
    word: str
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.word.strip())


class MaskedVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a masked language model is asked instead; ``words`` maps label values to words."""

    template: str
    words: dict[str, str] = {}


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A classification task by label words, or a completion task by prompts and responses.

    Attributes:
        name: for people.
        kind: "classification" or "completion".
        template: fixed text with the data's fields in braces; see template.py. Of a completion task, the prompt.
        labels: at least two; a label's place here is its number everywhere else. A completion task has none.
        response: what a completion task is to learn to say behind the prompt, such as " {answer}".
        truncate: the field that is shortened, from its right end, when a row is too long; may be left out when the
            template has one field only.
        max_tokens: tokens of a row, special tokens included.
        max_characters: characters of one field; a longer row is refused.
        label_field: the data's field with the label.
        masked: what a masked language model is asked instead.

    Raises:
        SeedTuneError: the parts do not fit together; says which, and how they would.
    """

    name: str
    kind: Literal["classification", "completion"]
    template: str
    labels: tuple[Label, ...] = ()
    response: str = ""
    truncate: str = ""
    max_tokens: int = 128
    max_characters: int = 20_000
    label_field: str = "label"
    masked: MaskedVariant | None = None

    def __post_init__(self) -> None:
        if not self.truncate and len(self.fields) == 1:
            msgspec.structs.force_setattr(self, "truncate", self.fields[0])
        if self.kind == "classification":
            _check_labels(self.labels)
            _require(not self.response, "a classification task has no response", self.response, "label words")
        _check_template(self)
        if self.kind == "completion":
            _check_completion(self)
        if self.masked is not None:
            _check_variant(self, self.masked)

    @property
    def fields(self) -> tuple[str, ...]:
        """The data fields of the template, in order of appearance, each once."""
        return template_fields(self.template)

    @property
    def response_fields(self) -> tuple[str, ...]:
        """The data fields of the response, in order of appearance, each once; none in a classification task."""
        return template_fields(self.response)

    def for_family(self, family: Family) -> Task:
        """The task as a model of ``family`` is asked it; the result has no ``masked`` variant.

        Raises:
            SeedTuneError: the template has no ``{mask}`` or several for a masked language model, or one for a causal.
        """
        if self.kind == "completion" and family == "masked":
            raise SeedTuneError(
                f"task {self.name!r} completes prompts, which a masked language model cannot",
                value=self.kind,
                rule="a completion task needs a causal language model",
                remedy="choose a causal model, or a classification task",
            )
        changes: dict[str, Any] = {"masked": None}
        if family == "masked" and self.masked is not None:
            words = self.masked.words
            changes["template"] = self.masked.template
            changes["labels"] = tuple(
                msgspec.structs.replace(label, word=words.get(label.value, label.word)) for label in self.labels
            )
        task = msgspec.structs.replace(self, **changes)
        if count_masks(task.template) != (1 if family == "masked" else 0):
            raise SeedTuneError(
                f"the template of task {self.name!r} does not suit a {family} language model",
                value=task.template,
                rule="exactly one {mask} for a masked language model, none for a causal one",
                remedy="add a [masked] table whose template has {mask} where the label word belongs"
                if family == "masked"
                else "let the template end where the label word follows, and put the one with {mask} under [masked]",
            )
        return task


def _require(holds: bool, what: str, value: object, rule: str) -> None:
    if not holds:
        raise SeedTuneError(what, value=value, rule=rule, remedy="change the task file")


def _check_labels(labels: tuple[Label, ...]) -> None:
    values = [label.value for label in labels]
    words = [label.word for label in labels]
    names = [label.name for label in labels]
    _require(len(labels) >= 2, "a task needs labels to choose from", values, "at least two [[labels]]")
    _require(_distinct(values), "two labels have the same value", values, "every value once")
    _require(_distinct(words), "two labels have the same word", words, "every word once")
    _require(_distinct(names), "two labels have the same name", names, "every name once")
    _require(
        all(value and value == value.strip() for value in values),
        "a label value is empty or has space around it",
        values,
        "values as the data has them, without surrounding space",
    )
    _require(all(word.strip() for word in words), "a label word is empty", words, "a word")
    # Both are accepted in the data, where "no" must not mean one label by its value and another by its name.
    for label in labels:
        owner = next((other for other in labels if other.value == label.name and other is not label), None)
        _require(owner is None, "a label's name is another label's value", label.name, "names apart from values")


def _check_template(task: Task) -> None:
    fields = task.fields
    _require(bool(task.name.strip()), "the task has no name", task.name, "a name")
    _require(bool(fields), "the template has no field", task.template, "at least one {field}")
    _require(
        bool(task.truncate),
        "the task does not say which field is shortened when a row is too long",
        list(fields),
        f'truncate = "{fields[-1]}", or another field of the template',
    )
    _require(
        task.truncate in fields,
        "the field to truncate is not in the template",
        task.truncate,
        f"one of: {', '.join(fields)}",
    )
    for name, size in (("max_tokens", task.max_tokens), ("max_characters", task.max_characters)):
        _require(0 < size <= MAX_SIZE, f"{name} is out of range", size, f"1 to {MAX_SIZE:,}")
    _require(bool(task.label_field.strip()), "label_field is empty", task.label_field, "a field of the data")
    _require(
        task.label_field not in fields,
        "the template shows the model the label",
        task.label_field,
        "the label field is not a field of the template",
    )


def _check_completion(task: Task) -> None:
    _require(not task.labels, "a completion task has no labels", [label.value for label in task.labels], "none")
    _require(task.masked is None, "a completion task has no [masked] variant", task.kind, "causal models only")
    _require(bool(task.response_fields), "the response has no field", task.response, 'a template, such as " {answer}"')
    _require(count_masks(task.response) == 0, "the response has a {mask}", task.response, "fields of the data")
    shown = sorted(set(task.response_fields) & set(task.fields))
    _require(
        not shown, "the prompt shows the model the response", shown, "fields of the response are not in the prompt"
    )


def _check_variant(task: Task, variant: MaskedVariant) -> None:
    values = [label.value for label in task.labels]
    unknown = sorted(set(variant.words) - set(values))
    _require(not unknown, "[masked] has words for labels that do not exist", unknown, f"label values: {values}")
    foreign = sorted(set(template_fields(variant.template)) - set(task.fields))
    _require(
        not foreign,
        "the [masked] template has a field that the template does not have",
        foreign,
        f"fields of the template: {', '.join(task.fields)}",
    )
    task.for_family("masked")


def _distinct(texts: Iterable[str]) -> bool:
    texts = list(texts)
    return len(set(texts)) == len(texts)


def only_field(task: Task, remedy: str) -> str:
    """The one field of the template of ``task``, which a text alone stands for.

    Raises:
        SeedTuneError: it has several; ``remedy`` says what to give instead.
    """
    if len(task.fields) != 1:
        raise SeedTuneError(
            "the task's template has several fields, and one text does not say which it is",
            value=", ".join(task.fields),
            rule="one field, or rows that name theirs",
            remedy=remedy,
        )
    return task.fields[0]
