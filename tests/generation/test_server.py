"""The server over a real socket: the model's own answers, sixteen at once, and clients that misbehave."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import seedtune
from seedtune.runtime.server.app import MAX_BODY_BYTES, Server

pytestmark = pytest.mark.traced

GREEDY = {"max_tokens": 6, "temperature": 0}
MESSAGES = [{"role": "user", "content": "a lovely film"}]


@contextmanager
def serving(bundle: Path) -> Iterator[tuple[int, seedtune.Model]]:
    """A server in a thread, and its port; the model is the one that answers."""
    with seedtune.open(bundle) as model, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(Server(model, "tiny").app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1], model
        finally:
            server.should_exit = True
            thread.join(30)


def ask(port: int, path: str, body: Any) -> tuple[int, Any]:
    """Status and answer of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, raw, {"Content-Type": "application/json"})
    response = connection.getresponse()
    found = response.read()
    connection.close()
    streamed = response.headers["content-type"].startswith("text/event-stream")
    return response.status, found.decode() if streamed else json.loads(found)


@pytest.fixture(scope="module")
def talker(completion_bundle: Path) -> Iterator[tuple[int, seedtune.Model]]:
    with serving(completion_bundle) as server:
        yield server


def test_sixteen_clients_at_once_get_the_answers_that_each_gets_alone(
    talker: tuple[int, seedtune.Model], completion_bundle: Path
) -> None:
    port, _ = talker
    prompts = [f"Review: {'a lovely film ' * (number % 4)}song {number}" for number in range(16)]
    with seedtune.open(completion_bundle) as model:
        expected = [model.generate(prompt, raw=True, max_tokens=6).text for prompt in prompts]
    assert len(set(expected)) > 4
    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(lambda prompt: ask(port, "/v1/completions", {"prompt": prompt, **GREEDY}), prompts))
    assert [status for status, _ in found] == [200] * 16
    assert [answer["choices"][0]["text"] for _, answer in found] == expected


def test_a_conversation_is_the_models_own_and_streams_to_the_same_text(talker: tuple[int, seedtune.Model]) -> None:
    port, model = talker
    status, whole = ask(port, "/v1/chat/completions", {"messages": MESSAGES, **GREEDY, "model": "any"})
    assert status == 200
    alone = model.generate(MESSAGES, max_tokens=6)
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": alone.text}
    assert whole["choices"][0]["finish_reason"] == alone.finish
    assert whole["usage"]["prompt_tokens"] == len(alone.prompt_ids)
    parts = [{"role": "user", "content": [{"type": "text", "text": "a lovely"}, {"type": "text", "text": " film"}]}]
    assert ask(port, "/v1/chat/completions", {"messages": parts, **GREEDY})[1]["choices"] == whole["choices"]
    status, events = ask(port, "/v1/chat/completions", {"messages": MESSAGES, **GREEDY, "stream": True})
    assert status == 200
    *lines, done = [line.removeprefix("data: ") for line in events.split("\n\n") if line]
    assert done == "[DONE]"
    choices = [json.loads(line)["choices"][0] for line in lines]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == alone.text
    assert choices[-1]["finish_reason"] == alone.finish


def test_a_client_that_goes_away_costs_nobody_else_an_answer(talker: tuple[int, seedtune.Model]) -> None:
    port, _ = talker
    body = json.dumps({"prompt": "a", "max_tokens": 50, "temperature": 1, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as gone:
            gone.sendall(head + body)
            assert gone.recv(16)
    # One that says that it sends more than it does.
    with socket.create_connection(("127.0.0.1", port), timeout=60) as gone:
        gone.sendall(head + body[:10])
    assert ask(port, "/v1/completions", {"prompt": "a", **GREEDY})[0] == 200


def test_a_request_that_is_too_large_is_refused_before_it_is_there(talker: tuple[int, seedtune.Model]) -> None:
    port, _ = talker
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(head + b" " * (MAX_BODY_BYTES + 1))
        assert client.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/completions", b"{", "cannot be read"),
        ("/v1/completions", {"prompt": 5}, "cannot be read"),
        ("/v1/completions", {"prompt": ""}, "empty"),
        ("/v1/completions", {"prompt": ["a", "b"]}, "one prompt"),
        ("/v1/completions", {"prompt": "a " * 200}, "longer than the model"),
        ("/v1/completions", {"prompt": "a", "n": 2}, "one answer"),
        ("/v1/completions", {"prompt": "a", "temperature": -1}, "cannot be read"),
        ("/v1/chat/completions", {"messages": []}, "no message"),
        ("/v1/chat/completions", {"messages": [{"role": "king", "content": "a"}]}, "message"),
        ("/v1/chat/completions", {"messages": MESSAGES, "tools": [1]}, "tools is not supported"),
        ("/v1/classify", {"input": "a"}, "no labels to predict"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(
    talker: tuple[int, seedtune.Model], path: str, body: Any, words: str
) -> None:
    status, found = ask(talker[0], path, body)
    assert status == 400
    assert words in found["error"]["message"]


def test_labels_are_those_of_predict_and_the_model_is_listed(last_bundle: Path) -> None:
    texts = ["a lovely film", "a dull song"]
    with serving(last_bundle) as (port, model):
        expected = model.predict([{"text": text} for text in texts])
        for rows in (texts, [{"text": text} for text in texts]):
            status, found = ask(port, "/v1/classify", {"input": rows})
            assert status == 200
            assert [each["probabilities"] for each in found["data"]] == [pytest.approx(each) for each in expected]
            assert [each["label"] for each in found["data"]] == [max(each, key=each.__getitem__) for each in expected]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/models")
        assert json.loads(connection.getresponse().read())["data"][0]["id"] == "tiny"
        connection.close()


def test_the_command_says_where_it_listens_and_refuses_a_port_in_use(
    completion_bundle: Path, seedtune: Callable[..., Any]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = seedtune("serve", completion_bundle, "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "choose another --port" in done.stderr


def test_chat_answers_line_by_line_and_remembers(completion_bundle: Path, seedtune: Callable[..., Any]) -> None:
    from seedtune import open as open_model

    done = seedtune("chat", completion_bundle, "--max-tokens", 4, input="a film\n\na song\n")
    assert done.returncode == 0, done.stderr
    with open_model(completion_bundle) as model:
        first = model.generate([{"role": "user", "content": "a film"}], max_tokens=4).text
        talk = [{"role": "user", "content": "a film"}, {"role": "assistant", "content": first}]
        second = model.generate([*talk, {"role": "user", "content": "a song"}], max_tokens=4).text
    assert done.stdout == f"{first}\n{second}\n"
