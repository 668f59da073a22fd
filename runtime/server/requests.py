"""What a client may ask: bodies of requests, checked before anything is computed.

The form is that of OpenAI's API reference ("Chat", "Completions"). What has no meaning here is refused where it would
change the answer, and ignored where it would not (``user``, ``model``).
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from seedtune.runtime.errors import SeedTuneError

MAX_ROWS = 1024

Tokens = Annotated[int, Meta(ge=1, le=1_000_000)]
Stop = str | list[str] | None


class Choosing(msgspec.Struct, frozen=True):
    """How a text is to be generated; what all kinds of it share."""

    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=100)] = 1.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    stop: Stop = None
    stream: bool = False
    n: int | None = 1
    logprobs: Any = None
    tools: Any = None
    response_format: Any = None
    model: str | None = None

    def options(self, default_tokens: int) -> dict[str, Any]:
        """For `Model.generate`.

        Raises:
            SeedTuneError: something is asked for that is not done here.
        """
        for name in ("logprobs", "tools", "response_format"):
            if getattr(self, name):
                raise SeedTuneError(
                    f"{name} is not supported", value=name, rule="texts by prompt or messages", remedy="leave it out"
                )
        if self.n not in (None, 1):
            raise SeedTuneError("one answer a request", value=self.n, rule="n = 1", remedy="ask several times")
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_tokens": self.max_completion_tokens or self.max_tokens or default_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            # Who names no seed wants another answer each time.
            "seed": secrets.randbits(32) if self.seed is None else self.seed,
            "stop": stop,
        }


class CompletionRequest(Choosing, frozen=True, kw_only=True):
    """``/v1/completions``: a text to go on with, as it is."""

    prompt: str | list[str]

    def text(self) -> str:
        """The prompt.

        Raises:
            SeedTuneError: there are several.
        """
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) != 1:
            raise SeedTuneError(
                "one prompt a request", value=len(self.prompt), rule="a text", remedy="ask several times"
            )
        return self.prompt[0]


class ChatRequest(Choosing, frozen=True, kw_only=True):
    """``/v1/chat/completions``: a conversation."""

    messages: list[dict[str, Any]]

    def conversation(self) -> list[dict[str, Any]]:
        """The messages; a content of parts is the text of its parts."""
        return [{**message, "content": _text(message.get("content"))} for message in self.messages]


class ClassifyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``/v1/classify``: a text, several, or rows by the fields of the task's template."""

    input: str | list[str | dict[str, str]]
    model: str | None = None

    def rows(self, fields: tuple[str, ...]) -> list[dict[str, str]]:
        """The rows of a task whose template has ``fields``.

        Raises:
            SeedTuneError: there are none or too many, or texts where the template has several fields.
        """
        given: list[str | dict[str, str]] = [self.input] if isinstance(self.input, str) else self.input
        if not 0 < len(given) <= MAX_ROWS:
            raise SeedTuneError(
                "too many rows, or none", value=len(given), rule=f"1 to {MAX_ROWS:,}", remedy="ask several times"
            )
        if len(fields) != 1 and any(isinstance(each, str) for each in given):
            raise SeedTuneError(
                "the task's template has several fields, and a text does not say which it is",
                value=", ".join(fields),
                rule="rows as objects that name their fields",
                remedy="send objects",
            )
        return [{fields[0]: each} if isinstance(each, str) else each for each in given]


Request = TypeVar("Request", CompletionRequest, ChatRequest, ClassifyRequest)


def parsed(raw: bytes, kind: type[Request]) -> Request:
    """The body ``raw`` as a ``kind``.

    Raises:
        SeedTuneError: it is no JSON, or not of this form.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SeedTuneError(
            f"the request cannot be read: {error}", rule="JSON in the form of the API", remedy="correct the request"
        ) from error


def _text(content: Any) -> Any:
    """A content of text parts as one text; what is none is refused when the template is rendered."""
    if not isinstance(content, list):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(content) else content
