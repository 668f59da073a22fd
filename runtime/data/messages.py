"""Rows of conversations, as chat models are commonly tuned on: {"messages": [{"role": "user", "content": ...}, ...]}.

One message of the user and the assistant's answer to it are the prompt's field and the response's field of a completion
task. Whatever else a conversation has would be lost, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

MESSAGES = "messages"


def from_messages(record: Mapping[str, Any], task: Task, where: str, require_answer: bool) -> Mapping[str, Any]:
    """``record`` with the fields of ``task``, where it is a conversation instead; else as it is.

    Args:
        record: one row.
        task: a completion task is asked for its fields; others have none for messages.
        where: names the row.
        require_answer: whether there is no row without the assistant's answer.

    Raises:
        SeedTuneError: the conversation is none, or is not one message and its answer; or the task has several fields.
    """
    fields = (*task.fields, *task.response_fields)
    if task.kind != "completion" or MESSAGES in fields or MESSAGES not in record or fields[0] in record:
        return record
    if len(task.fields) != 1 or len(task.response_fields) != 1:
        raise SeedTuneError(
            "a conversation cannot be told apart into the fields of this task",
            file=where,
            value=", ".join(fields),
            rule="one field in the prompt and one in the response",
            remedy="write the fields into the row by name",
        )
    messages = record[MESSAGES]
    roles = [_role(message) for message in messages] if isinstance(messages, list) else None
    if roles != ["user", "assistant"] and (require_answer or roles != ["user"]):
        raise SeedTuneError(
            "this conversation is not one message and its answer",
            file=where,
            value=messages if roles is None or None in roles else ", ".join(map(str, roles)),
            rule='[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]',
            remedy="split longer conversations, and put what a system message says into the user's",
        )
    contents = [message["content"] for message in messages]
    return {**record, **dict(zip(fields, contents, strict=False))}


def _role(message: object) -> str | None:
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
        return None
    role = message.get("role")
    return role if isinstance(role, str) else None
