"""Task files: what is accepted, and what every mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import builtin_tasks, load_task, parse_task

GOOD = """\
name = "t"
kind = "classification"
template = "{text} is"
label_field = "label"

[[labels]]
value = "0"
word = " bad"

[[labels]]
value = "1"
name = "fine"
word = " good"
"""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def refused(text: str) -> str:
    with pytest.raises(SeedTuneError) as caught:
        parse_task(text, "my.toml")
    assert str(caught.value).startswith("my.toml")
    return str(caught.value)


def test_a_task_file_is_read_with_its_defaults() -> None:
    task = parse_task(GOOD, "my.toml")
    assert task.fields == ("text",)
    assert task.truncate == "text"
    assert [(label.value, label.name, label.word) for label in task.labels] == [
        ("0", "bad", " bad"),
        ("1", "fine", " good"),
    ]
    assert task.masked is None


@pytest.mark.parametrize("name", builtin_tasks())
def test_every_builtin_task_suits_both_families(name: str) -> None:
    task = load_task(name)
    assert task.for_family("causal").template.count("{mask}") == 0
    assert task.for_family("masked").template.count("{mask}") == 1


@pytest.mark.parametrize(
    ("text", "line"), [('name = "a"\nkind = \n', 2), ("a = 1\nb = 2\na = 3\n", 3), ('\n\nx = "\n', 3)]
)
def test_broken_toml_is_told_with_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(SeedTuneError) as caught:
        load_task(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed('name = "t"\n', ""), "name"),
        (changed('template = "{text} is"\n', ""), "template"),
        (changed('word = " bad"\n', ""), "word"),
        (changed("template =", "tempalte ="), "tempalte"),
        (changed('word = " bad"', 'wrod = " bad"'), "wrod"),
        (changed('value = "0"', "value = 0"), "quotes"),
        (changed('kind = "classification"', 'kind = "regression"'), "regression"),
        (changed('name = "t"', 'name = " "'), "name"),
        (changed("{text} is", "{text is"), "brace|template"),
        (changed("{text} is", "{} is"), "plain name"),
        (changed("{text} is", "{text:>9} is"), "plain name"),
        (changed("{text} is", "{text.x} is"), "plain name"),
        (changed("{text} is", "{label} {text} is"), "label"),
        (changed("{text} is", "no field"), "no field"),
        (changed("label_field", 'truncate = "txet"\nlabel_field'), "txet"),
        (changed("{text} is", "{text} {other}"), "truncate"),
        (changed("label_field", "max_tokens = 0\nlabel_field"), "max_tokens"),
        (changed("label_field", "max_characters = -1\nlabel_field"), "max_characters"),
        (changed('value = "1"', 'value = "0"'), "same value"),
        (changed('word = " good"', 'word = " bad"'), "same word"),
        (changed('word = " good"', 'word = " "'), "empty"),
        (GOOD[: GOOD.rindex("[[labels]]")], "at least two"),
        (GOOD + '[masked]\ntemplate = "{text} {mask}"\nwords = { "2" = " x" }\n', "do not exist"),
        (GOOD + '[masked]\ntemplate = "{other} {mask}"\n', "other"),
        (GOOD + '[masked]\ntemplate = "{text}"\n', "mask"),
        (GOOD + '[masked]\ntemplate = "{text} {mask} {mask}"\n', "mask"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(text: str, message: str) -> None:
    import re

    assert re.search(message, refused(text))


def test_a_mistyped_field_is_answered_with_the_fields_there_are() -> None:
    assert "template" in refused(changed("template =", "tempalte =")).replace("tempalte", "")


@pytest.mark.parametrize(("given", "meant"), [("sentimnt", "sentiment"), ("yesno", "yes-no")])
def test_a_mistyped_builtin_task_is_guessed(given: str, meant: str) -> None:
    with pytest.raises(SeedTuneError, match=f"did you mean {meant}"):
        load_task(given)


def test_a_task_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"gone\.toml"):
        load_task(str(tmp_path / "gone.toml"))
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(SeedTuneError, match=r"latin\.toml: the task file is not UTF-8"):
        load_task(str(tmp_path / "latin.toml"))


def test_the_masked_variant_replaces_template_and_words() -> None:
    text = GOOD + '[masked]\ntemplate = "{text} It was {mask}."\nwords = { "0" = " terrible" }\n'
    masked = parse_task(text, "my.toml").for_family("masked")
    assert masked.template == "{text} It was {mask}."
    assert [label.word for label in masked.labels] == [" terrible", " good"]
    assert parse_task(text, "my.toml").for_family("causal").template == "{text} is"


def test_a_template_of_the_other_family_is_refused() -> None:
    with pytest.raises(SeedTuneError, match="mask"):
        parse_task(GOOD, "my.toml").for_family("masked")
    with pytest.raises(SeedTuneError, match="mask"):
        parse_task(changed("{text} is", "{text} {mask}"), "my.toml").for_family("causal")
