"""A task file is checked when it is loaded, and comes back equal from TOML and from JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task, builtin_tasks, load_task, parse_task, task_to_toml

GOOD = """\
name = "t"
kind = "classification"
template = "{text} says"
[[labels]]
value = "0"
word = " no"
[[labels]]
value = "1"
word = " yes"
"""
MASKED = '[masked]\ntemplate = "{text} {mask}"\nwords = { "0" = " bad" }\n'


@pytest.mark.parametrize("name", builtin_tasks())
def test_builtin_task_survives_toml_and_json(name: str) -> None:
    task = load_task(name)
    assert parse_task(task_to_toml(task), "again") == task
    assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task
    assert task.for_family("causal").masked is None
    assert "{mask}" in task.for_family("masked").template


def test_characters_that_toml_escapes_survive() -> None:
    task = msgspec.structs.replace(parse_task(GOOD, "f"), template='{text} "\\ \x7f\x01\n\t é 😀 {{x}}')
    assert parse_task(task_to_toml(task), "again") == task


def test_defaults() -> None:
    task = parse_task(GOOD, "f")
    assert (task.truncate, task.max_tokens, task.max_characters, task.label_field) == ("text", 128, 20_000, "label")
    assert [label.name for label in task.labels] == ["no", "yes"]
    assert task.fields == ("text",)


def test_masked_override_changes_words_but_not_names() -> None:
    task = parse_task(GOOD + MASKED, "f").for_family("masked")
    assert [(label.word, label.name) for label in task.labels] == [(" bad", "no"), (" yes", "yes")]


def test_family_without_fitting_template_is_refused() -> None:
    with pytest.raises(SeedTuneError, match=r"masked language model"):
        parse_task(GOOD, "f").for_family("masked")
    with pytest.raises(SeedTuneError, match=r"causal language model"):
        parse_task(GOOD.replace("says", "{mask}"), "f").for_family("causal")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{text} says", "says", "no field"),
        ("{text} says", "{text", "cannot be read"),
        ("{text} says", "{} says", "not a plain name"),
        ("{text} says", "{text!r} says", "not a plain name"),
        ("{text} says", "{a} {b}", "which field is shortened"),
        ("{text} says", "{label} says", "shows the model the label"),
        ('kind = "classification"', 'kind = "regression"', "Invalid enum value"),
        ('name = "t"', 'name = "t"\nmax_token = 3', "unknown field `max_token`"),
        ('name = "t"', 'name = "t"\nmax_tokens = 0', "max_tokens is out of range"),
        ('name = "t"', 'name = "t"\nmax_characters = -1', "max_characters is out of range"),
        ('name = "t"', 'name = "t"\ntruncate = "txt"', "truncate is not in the template"),
        ('value = "1"', 'value = "0"', "same value"),
        ('value = "1"', "value = 1", "put the value in quotes"),
        ('word = " yes"', 'word = " no"', "same word"),
        ('word = " yes"', 'word = " "', "word is empty"),
        ('word = " yes"', 'word = " yes"\nname = "0"', "another label's value"),
        ('name = "t"', "", "missing required field `name`"),
        ('[[labels]]\nvalue = "1"\nword = " yes"\n', "", "needs labels"),
        ('word = " yes"\n', 'word = " yes"\n[masked]\ntemplate = "{text}"', "does not suit a masked"),
        ('word = " yes"\n', 'word = " yes"\n' + MASKED.replace('"0"', '"7"'), "labels that do not exist"),
        ('word = " yes"\n', 'word = " yes"\n' + MASKED.replace("{text}", "{other}"), "does not have"),
        ('word = " yes"\n', 'word = " yes"\n' + MASKED.replace(" bad", " yes"), "same word"),
    ],
)
def test_faulty_task_is_refused_with_its_file(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SeedTuneError) as caught:
        parse_task(GOOD.replace(old, new), "my.toml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("my.toml: ")


@pytest.mark.parametrize(("text", "line"), [("name = 'x'\nkind = = 1\n", 2), ("a = 1\nb = [\n", 3)])
def test_toml_error_gives_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SeedTuneError) as caught:
        load_task(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_unknown_task_lists_and_guesses() -> None:
    with pytest.raises(SeedTuneError) as caught:
        load_task("sentimnt")
    assert "did you mean sentiment?" in str(caught.value)
    assert all(name in str(caught.value) for name in builtin_tasks())


def test_task_file_may_begin_with_a_byte_order_mark_but_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_task(str(path)) == parse_task(GOOD, "f")
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(SeedTuneError, match="not UTF-8"):
        load_task(str(path))
