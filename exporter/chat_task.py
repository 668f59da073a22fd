"""The task ``chat``: what an assistant answers to a message, through the model's own chat template.

The template is rendered once, at export, with a place for the message in it. So the bundle's task is a completion task
like any other, which needs no Jinja wherever it runs.
"""

from __future__ import annotations

from typing import Final

import jinja2

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Task

CHAT: Final = "chat"
MESSAGE, ANSWER = "message", "answer"
MAX_TOKENS = 256
# No template has them, and none trims them.
_PLACES = ("\U000f5eedmessage\U000f5eed", "\U000f5eedanswer\U000f5eed")


def chat_task(checkpoint: Checkpoint) -> Task:
    """The completion task whose prompt is a user's ``message`` and whose response is the assistant's ``answer``.

    Raises:
        SeedTuneError: the model has no chat template, or one that does not show a message and its answer once each, as
            they are, the answer behind what it asks for it with.
    """
    if checkpoint.chat_template is None:
        raise SeedTuneError(
            "the model has no chat template",
            value=checkpoint.source,
            rule="a model that was tuned to chat, with a chat_template in its tokenizer's configuration",
            remedy="write a task file of kind completion with a template of your own",
        )
    asking, answered = _rendered(checkpoint, 1), _rendered(checkpoint, 2)
    if asking.count(_PLACES[0]) != 1 or answered.count(_PLACES[1]) != 1 or not answered.startswith(asking):
        raise _unusable(checkpoint, answered)
    lead, end = answered.removeprefix(asking).split(_PLACES[1])
    end_token = checkpoint.end_token
    if end_token and end.lstrip().startswith(end_token):
        # A completion task puts it there.
        end = ""
    tokenizer = checkpoint.pretrained_tokenizer
    first = tokenizer.bos_token
    if first and asking.startswith(first) and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]:
        # Tokenizing a row puts it there.
        asking = asking.removeprefix(first)
    before, behind = map(_fixed, asking.split(_PLACES[0]))
    return Task(
        name=CHAT,
        kind="completion",
        template=f"{before}{{{MESSAGE}}}{behind}",
        response=f"{_fixed(lead)}{{{ANSWER}}}{_fixed(end.rstrip())}",
        max_tokens=min(MAX_TOKENS, checkpoint.max_positions),
    )


def _rendered(checkpoint: Checkpoint, messages: int) -> str:
    """A conversation of so many messages as one text, which ends where the assistant is to speak if it is to."""
    conversation = [{"role": "user", "content": _PLACES[0]}, {"role": "assistant", "content": _PLACES[1]}]
    try:
        return str(
            checkpoint.pretrained_tokenizer.apply_chat_template(
                conversation[:messages],
                chat_template=checkpoint.chat_template,
                tokenize=False,
                add_generation_prompt=messages == 1,
            )
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _unusable(checkpoint, f"{type(error).__name__}: {error}") from error


def _fixed(text: str) -> str:
    """``text`` as it stands in a template of a task."""
    return text.replace("{", "{{").replace("}", "}}")


def _unusable(checkpoint: Checkpoint, found: str) -> SeedTuneError:
    return SeedTuneError(
        "no task can be made of the model's chat template",
        value=found,
        file=checkpoint.source,
        rule="a template that shows a message and its answer once, as they are, behind each other",
        remedy="write a task file of kind completion with a template of your own",
    )
