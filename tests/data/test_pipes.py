"""Rows from pipes and standard input: read once, whole, with the hash of what was read."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.data.source import FORMATS, Source
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

JSONL = b'{"text": "a bad film", "label": 0}\n{"text": "a great song", "label": 1}\n'
CSV = b"text,label\na bad film,0\na great song,1\n"
TEXTS = ["a bad film", "a great song"]


@contextmanager
def pipe(path: Path, content: bytes) -> Iterator[Path]:
    """A named pipe that gives ``content`` once."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield path
    writer.join(timeout=10)
    assert not writer.is_alive()


def parquet_bytes() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": TEXTS, "label": [0, 1]}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data_format", "content"),
    [
        ("x.jsonl", None, lambda: JSONL),
        ("x", None, lambda: JSONL),
        ("x.csv", None, lambda: CSV),
        ("x", "csv", lambda: CSV),
        ("x.txt", "jsonl", lambda: JSONL),
        ("x.parquet", None, parquet_bytes),
    ],
)
def test_a_pipe_is_read_once(
    task: Task, tmp_path: Path, name: str, data_format: str | None, content: Callable[[], bytes]
) -> None:
    written = content()
    with pipe(tmp_path / name, written) as path:
        rows = read_rows(path, task, data_format=data_format)
        assert rows.source is not None
        assert rows.source.sha256() == hashlib.sha256(written).hexdigest()
    assert [row.fields["text"] for row in rows] == TEXTS


@pytest.mark.parametrize(("data_format", "content"), [(None, JSONL), ("csv", CSV)])
def test_standard_input_is_read_and_stays_open(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str | None, content: bytes
) -> None:
    (tmp_path / "in").write_bytes(content)
    with (tmp_path / "in").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        rows = read_rows("-", task, data_format=data_format)
        assert not file.closed
        os.fstat(file.fileno())
    assert [row.fields["text"] for row in rows] == TEXTS
    assert rows.source is not None
    assert rows.source.sha256() == hashlib.sha256(content).hexdigest()
    assert rows.source.recorded_path == "-"


def test_complaints_about_standard_input_say_so(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_bytes(JSONL + b"{}\n")
    with (tmp_path / "in").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(SeedTuneError, match=r"^standard input:3: the field 'text' is missing"):
            read_rows("-", task)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SeedTuneError, match="standard input is closed"):
        read_rows("-", task)


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero"])
def test_what_is_neither_file_nor_pipe_is_refused_unread(task: Task, name: str) -> None:
    with pytest.raises(SeedTuneError, match="neither a file nor a pipe"):
        read_rows(name, task, data_format="jsonl")


def test_an_unknown_format_lists_those_that_there_are(task: Task, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError) as caught:
        read_rows(tmp_path / "x.jsonl", task, data_format="excel")
    assert caught.value.rule == f"one of {', '.join(FORMATS)}"


def test_the_hash_is_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(JSONL)
    source = Source(path)
    assert source.read() == JSONL
    path.write_bytes(b"")
    assert source.sha256() == hashlib.sha256(JSONL).hexdigest()
    assert Source(path).sha256() == hashlib.sha256(b"").hexdigest()
