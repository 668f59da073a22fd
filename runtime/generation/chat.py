"""A conversation as one text, by the model's own chat template.

Templates are Jinja programs that come with a model, from anyone: they run in Jinja's sandbox for immutable data,
without files, modules or attributes of Python, as transformers runs them. A message cannot become a special token: what
spells one in it stands shielded in the rendered text, until the template's own special tokens are told apart.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from seedtune.runtime.bundle.objective import Decoding
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra

ROLES = ("system", "user", "assistant", "tool")
# transformers marks what an assistant says by these, for training; they render nothing.
MARKS = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")

Message = Mapping[str, str]


def render_chat(decoding: Decoding, messages: Sequence[Message]) -> str:
    """``messages`` as one text that ends where the assistant's answer begins.

    Raises:
        SeedTuneError: the model has no chat template, a message is no message, the template refuses the conversation or
            is none, or Jinja is not installed.
    """
    if decoding.chat_template is None:
        raise SeedTuneError(
            "the model has no chat template",
            rule="a model that was tuned to chat, with a chat_template in its tokenizer's configuration",
            remedy="give a prompt without --chat",
        )
    for message in messages:
        _require_message(message)
    if not messages:
        raise SeedTuneError("a conversation has no message", rule="one message at least", remedy="say something")
    jinja2 = import_extra("jinja2", "chat", "a chat template")
    sandbox = import_extra("jinja2.sandbox", "chat", "a chat template")
    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda layout: datetime.datetime.now().strftime(layout)
    try:
        template = environment.from_string(MARKS.sub("", decoding.chat_template))
        found: str = template.render(
            messages=[dict(message) for message in messages],
            add_generation_prompt=True,
            tools=None,
            documents=None,
            **decoding.special_tokens,
        )
    except (jinja2.TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise SeedTuneError(
            "the model's chat template refuses this conversation",
            value=f"{type(error).__name__}: {error}",
            rule="roles and an order of messages that the template knows",
            remedy="change the messages, or give a prompt without --chat",
        ) from error
    return found


def _require_message(message: Message) -> None:
    fits = isinstance(message, Mapping) and message.get("role") in ROLES and isinstance(message.get("content"), str)
    if not fits:
        raise SeedTuneError(
            "a message of the conversation cannot be used",
            value=message,
            rule=f"a role ({', '.join(ROLES)}) and a content, which is text",
            remedy="change the message",
        )


def _to_json(value: Any, indent: int | None = None, **_options: Any) -> str:
    # Jinja's own escapes <, > and &, which no model was trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise ValueError(message)
