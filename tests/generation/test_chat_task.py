"""The task `chat`: rows read as transformers renders the conversation, and conversations that are no rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from seedtune.runtime.data.messages import from_messages
from seedtune.runtime.data.rows import read_rows, rows_of
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Task

pytestmark = pytest.mark.traced

TEMPLATES = {
    "spoken": None,
    "marked": "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}",
    "braces": "{{ bos_token }}{% for m in messages %}{'{' }{{ m.role }}: {{ m.content }}}{% endfor %}"
    "{% if add_generation_prompt %}{'{' }assistant:{% endif %}",
}


def with_template(checkpoint: Path, template: str | None, folder: Path) -> Path:
    shutil.copytree(checkpoint, folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_row_is_the_conversation_as_transformers_renders_it(
    template: str | None, chat_checkpoint: Path, tmp_path: Path
) -> None:
    from seedtune.exporter.chat_task import chat_task
    from seedtune.exporter.checkpoint import open_checkpoint
    from seedtune.exporter.pipeline import compile_task

    folder = with_template(chat_checkpoint, template, tmp_path / "checkpoint")
    checkpoint = open_checkpoint(str(folder))
    task = compile_task(checkpoint, chat_task(checkpoint), "suffix")
    messages = [{"role": "user", "content": "a film"}, {"role": "assistant", "content": "dull"}]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected: list[int] = tokenizer.apply_chat_template(messages, return_dict=False)  # type: ignore[assignment]
    row = rows_of([{"messages": messages}], task.task)[0]
    example = task.encode(row.fields)
    assert example.targets is not None
    ids = [*example.ids, example.targets[-1]]
    assert ids[-1] == tokenizer.eos_token_id
    # Behind a template that ends an answer in its own way, a completion task says that the text is over.
    ids = ids if tokenizer.eos_token_id in expected[-2:] else ids[:-1]
    assert ids == expected[: len(ids)]
    assert not str(tokenizer.decode(expected[len(ids) :])).strip()
    asking = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
    assert ids[: len(asking)] == asking


def test_rows_with_messages_and_rows_with_fields_are_the_same_rows(tmp_path: Path) -> None:
    task = Task(name="chat", kind="completion", template="Q {message} A", response="{answer}")
    spoken, written = tmp_path / "spoken.jsonl", tmp_path / "written.jsonl"
    messages = [{"role": "user", "content": "a film"}, {"role": "assistant", "content": "dull"}]
    spoken.write_text(json.dumps({"messages": messages, "source": "x"}) + "\n", "utf-8")
    written.write_text(json.dumps({"message": "a film", "answer": "dull"}) + "\n", "utf-8")
    assert list(read_rows(spoken, task)) == list(read_rows(written, task))


USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [USER],
        [ASSISTANT, USER],
        [USER, ASSISTANT, USER, ASSISTANT],
        [{"role": "system", "content": "s"}, USER, ASSISTANT],
        [USER, {"role": "assistant", "content": [{"type": "text", "text": "b"}]}],
        [USER, "b"],
        {"user": "a"},
        "a",
        None,
    ],
)
def test_a_conversation_that_is_not_one_message_and_its_answer_is_refused_with_its_line(messages: Any) -> None:
    task = Task(name="chat", kind="completion", template="Q {message} A", response="{answer}")
    with pytest.raises(SeedTuneError, match="not one message and its answer") as caught:
        rows_of([{"messages": messages}], task)
    assert "row:1" in str(caught.value.file)


def test_a_prompt_needs_no_answer_and_other_tasks_read_no_messages() -> None:
    task = Task(name="chat", kind="completion", template="Q {message} A", response="{answer}")
    record = {"messages": [USER]}
    assert from_messages(record, task, "row:1", require_answer=False)["message"] == "a"
    several = Task(name="two", kind="completion", template="Q {a} {b}", response="{c}", truncate="a")
    with pytest.raises(SeedTuneError, match="told apart"):
        from_messages(record, several, "row:1", require_answer=True)
    own = Task(name="own", kind="completion", template="Q {messages}", response="{answer}")
    assert from_messages(record, own, "row:1", require_answer=True) is record


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('only systems') }}", "no task can be made"),
        ("always the same", "no task can be made"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "no task can be made"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "no task can be made"),
        ("{% for m in messages | reverse %}{{ m.content }}{% endfor %}", "no task can be made"),
    ],
)
def test_a_template_that_does_not_show_what_is_said_is_refused(
    template: str, words: str, chat_checkpoint: Path, tmp_path: Path
) -> None:
    from seedtune.exporter.chat_task import chat_task
    from seedtune.exporter.checkpoint import open_checkpoint

    folder = with_template(chat_checkpoint, template, tmp_path / "checkpoint")
    with pytest.raises(SeedTuneError, match=words):
        chat_task(open_checkpoint(str(folder)))


def test_a_model_without_a_chat_template_is_refused(tiny_checkpoint: Path) -> None:
    from seedtune.exporter.chat_task import chat_task
    from seedtune.exporter.checkpoint import open_checkpoint

    with pytest.raises(SeedTuneError, match="no chat template"):
        chat_task(open_checkpoint(str(tiny_checkpoint)))


def test_a_conversation_is_tuned_and_answered(chat_checkpoint: Path, tmp_path: Path) -> None:
    import seedtune

    seedtune.export(str(chat_checkpoint), task="chat", out=tmp_path / "bundle", targets="all", rank=4, check=False)
    rows: Sequence[dict[str, Any]] = [{"messages": [USER, {"role": "assistant", "content": "a lovely song"}]}] * 24
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with seedtune.open(tmp_path / "bundle") as model:
        events = list(model.tune(train, out=tmp_path / "run", steps=3, batch_size=4, held_out_rows=0))
        assert events
    with seedtune.open(tmp_path / "run") as tuned:
        assert list(tuned.generate("a", max_tokens=2).prompt_ids) == list(
            tuned.generate([USER], max_tokens=2).prompt_ids
        )
