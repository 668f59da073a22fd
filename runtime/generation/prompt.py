"""What a model is asked to go on with: token ids, and from which of them on a state acts.

Where the state of a bundle acts is a matter of its reach. In a text that is generated it acts, in the layers that it
was tuned in,

 - with scope "all" at every token;
 - of a completion task from the last token of the prompt on, which is where its responses were tuned;
 - of a classification task through its template from where the suffix begins (scope "suffix") or from the last token
   of the prompt on (scope "last"), and at every token that is generated; of any other text from its last token on.

The tokens before that are read by the untouched model, as in tuning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seedtune.runtime.bundle.objective import Decoding
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.chat import Message, render_chat
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.structure import only_field


@dataclass(frozen=True)
class Prompt:
    """``ids`` to go on with, at those of which from ``first_place`` on a state acts."""

    ids: tuple[int, ...]
    first_place: int


def row_prompt(task: CompiledTask, fields: Mapping[str, str]) -> Prompt:
    """A row of the task, through its template.

    Raises:
        SeedTuneError: a field is missing, or the row has a token that cannot be read.
    """
    ids, first_place = task.prompt(fields)
    return _checked(ids, first_place, task)


def field_prompt(task: CompiledTask, text: str) -> Prompt:
    """``text`` as the one field of the task's template.

    Raises:
        SeedTuneError: the template has several fields, or as :func:`row_prompt`.
    """
    field = only_field(task.task, "give rows with --data, or --raw for a text without the template")
    if not text.strip():
        raise SeedTuneError("the prompt is empty", value=text, rule="some text", remedy="say something")
    return row_prompt(task, {field: text})


def raw_prompt(task: CompiledTask, text: str) -> Prompt:
    """``text`` as it is, with the special tokens that it spells, behind those that the tokenizer puts in front.

    Raises:
        SeedTuneError: it has no token, or one that the model's embedding lacks.
    """
    if not text:
        raise SeedTuneError("the prompt is empty", value=text, rule="some text", remedy="say something")
    ids = task.text_ids(text, around=True)
    return _checked(ids, task.first_place(len(ids)), task)


def chat_prompt(task: CompiledTask, decoding: Decoding, messages: Sequence[Message]) -> Prompt:
    """A conversation, up to where the assistant's answer begins; errors as of :func:`chat.render_chat`."""
    shielded = [_shielded(task, message) for message in messages]
    ids = task.text_ids(render_chat(decoding, shielded), around=False)
    return _checked(ids, task.first_place(len(ids)), task)


def require_fitting(prompt: Prompt, decoding: Decoding) -> None:
    """Raises SeedTuneError where there is no room for a token behind ``prompt``."""
    if len(prompt.ids) >= decoding.max_tokens:
        raise SeedTuneError(
            "the prompt is longer than the model takes",
            value=f"{len(prompt.ids):,} tokens",
            rule=f"at most {decoding.max_tokens - 1:,}, and one to generate",
            remedy="shorten it",
        )


def _shielded(task: CompiledTask, message: Message) -> Message:
    # What is no message, or has no text, is refused by name when it is rendered.
    content = message.get("content") if isinstance(message, Mapping) else None
    return {**message, "content": task.shielded(content)} if isinstance(content, str) else message


def _checked(ids: list[int], first_place: int, task: CompiledTask) -> Prompt:
    if not ids:
        raise SeedTuneError(
            "the prompt has no tokens",
            value=task.task.name,
            rule="one token at least to go on from",
            remedy="say something",
        )
    return Prompt(tuple(ids), min(first_place, len(ids) - 1))
