"""The server: routes, one model behind them, and answers as they are generated.

All requests share one open model. A token of one text and a token of another are computed in turns: each text has a
cache of its own, and a lock is held for one token, so that sixteen clients wait for each other's tokens and not for
each other's texts, and no row can reach another's. A client that goes away ends its text.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.generate import MAX_TOKENS, Generation
from seedtune.runtime.model.model import Model
from seedtune.runtime.server.requests import ChatRequest, ClassifyRequest, CompletionRequest, parsed
from seedtune.runtime.server.requests import Request as Body

# Bytes of a request; the longest prompt that a model takes is far below.
MAX_BODY_BYTES = 4 << 20
TOO_LARGE, BAD_REQUEST = 413, 400


class _TooLarge(Exception):  # noqa: N818 - it is an answer, not a failure
    pass


class _Form(Protocol):
    """How an answer of one kind is spelled."""

    def whole(self, generation: Generation) -> dict[str, Any]: ...

    def piece(self, text: str, finish: str | None) -> dict[str, Any]: ...


class Server:
    """``model``, open, as the application of an ASGI server; ``name`` is what it calls itself."""

    def __init__(self, model: Model, name: str) -> None:
        self.model = model
        self.name = name
        self._lock = threading.Lock()
        self.app = Starlette(
            routes=[
                Route("/v1/models", self.models, methods=["GET"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/classify", self.classify, methods=["POST"]),
            ],
            exception_handlers={SeedTuneError: _refused, _TooLarge: _too_large},
        )

    async def models(self, _request: Request) -> Response:
        """The one model that there is."""
        about = {"id": self.name, "object": "model", "created": 0, "owned_by": "seedtune"}
        return JSONResponse({"object": "list", "data": [about]})

    async def complete(self, request: Request) -> Response:
        """A text that goes on with a prompt."""
        body = await _body(request, CompletionRequest)
        generation = await run_in_threadpool(self._begin, body.text(), body.options(MAX_TOKENS))
        return await self._answer(request, generation, _Completion(self.name), body.stream)

    async def chat(self, request: Request) -> Response:
        """What the assistant says next."""
        body = await _body(request, ChatRequest)
        generation = await run_in_threadpool(self._begin, body.conversation(), body.options(MAX_TOKENS))
        return await self._answer(request, generation, _Chat(self.name), body.stream)

    async def classify(self, request: Request) -> Response:
        """Labels with their probabilities."""
        body = await _body(request, ClassifyRequest)
        rows = body.rows(self.model.bundle.manifest.language_model.task.fields)
        found = await run_in_threadpool(self._predict, rows)
        data = [
            {"index": place, "label": max(each, key=each.__getitem__), "probabilities": each}
            for place, each in enumerate(found)
        ]
        return JSONResponse({"object": "list", "model": self.name, "data": data})

    def _begin(self, prompt: str | list[dict[str, Any]], options: dict[str, Any]) -> Generation:
        with self._lock:
            return self.model.generate(prompt, raw=isinstance(prompt, str), **options)

    def _predict(self, rows: list[dict[str, str]]) -> list[dict[str, float]]:
        with self._lock:
            return self.model.predict(rows)

    def _pieces(self, generation: Generation) -> Iterator[str]:
        """The text, the lock held for one piece at a time."""
        while True:
            with self._lock:
                piece = next(generation, None)
            if piece is None:
                return
            yield piece

    async def _answer(self, request: Request, generation: Generation, form: _Form, stream: bool) -> Response:
        if stream:
            return StreamingResponse(self._events(generation, form), media_type="text/event-stream")
        async for _piece in iterate_in_threadpool(self._pieces(generation)):
            if await request.is_disconnected():
                break
        return JSONResponse(form.whole(generation))

    async def _events(self, generation: Generation, form: _Form) -> AsyncIterator[str]:
        # Where a client goes away, Starlette cancels this, and nothing asks for another token.
        async for piece in iterate_in_threadpool(self._pieces(generation)):
            yield _event(form.piece(piece, None))
        yield _event(form.piece("", generation.finish))
        yield "data: [DONE]\n\n"


class _Completion:
    """The answers of ``/v1/completions``."""

    def __init__(self, model: str) -> None:
        self._about = _about("cmpl", "text_completion", model)

    def whole(self, generation: Generation) -> dict[str, Any]:
        choice = {"index": 0, "text": generation.text_so_far, "finish_reason": generation.finish, "logprobs": None}
        return {**self._about, "choices": [choice], "usage": _usage(generation)}

    def piece(self, text: str, finish: str | None) -> dict[str, Any]:
        return {**self._about, "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}]}


class _Chat:
    """The answers of ``/v1/chat/completions``."""

    def __init__(self, model: str) -> None:
        self._about = _about("chatcmpl", "chat.completion", model)

    def whole(self, generation: Generation) -> dict[str, Any]:
        message = {"role": "assistant", "content": generation.text_so_far}
        choice = {"index": 0, "message": message, "finish_reason": generation.finish}
        return {**self._about, "choices": [choice], "usage": _usage(generation)}

    def piece(self, text: str, finish: str | None) -> dict[str, Any]:
        delta = {"role": "assistant", "content": text} if finish is None else {}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**self._about, "object": "chat.completion.chunk", "choices": [choice]}


def _about(prefix: str, kind: str, model: str) -> dict[str, Any]:
    return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _usage(generation: Generation) -> dict[str, int]:
    prompt, completion = len(generation.prompt_ids), len(generation.ids)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


async def _body(request: Request, kind: type[Body]) -> Body:
    """The body, read no further than it may be long, whatever its header says."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise _TooLarge
    return parsed(bytes(raw), kind)


async def _refused(_request: Request, error: Exception) -> Response:
    return _error(str(error), "invalid_request_error", BAD_REQUEST)


async def _too_large(_request: Request, _error_: Exception) -> Response:
    return _error(f"a request has at most {MAX_BODY_BYTES:,} bytes", "invalid_request_error", TOO_LARGE)


def _error(message: str, kind: str, status: int) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)
