"""adb's file service, version 1, as a phone serves it (adb's own SYNC.TXT): STAT, LIST, SEND and RECV, then QUIT."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable
from pathlib import Path

from standin_wire import ClosedError, Stream

CHUNK_BYTES = 64 * 1024
PAIR = struct.Struct("<4sI")


def serve_sync(stream: Stream, place: Callable[[str], Path]) -> None:
    """Answers until QUIT. ``place`` says where on this machine a path of the phone is."""
    while True:
        word, length = PAIR.unpack(stream.read(PAIR.size))
        text = stream.read(length).decode("utf-8", "surrogateescape")
        if word == b"QUIT":
            return
        try:
            if word == b"STAT":
                stream.write(b"STAT" + _stat(place(text)))
            elif word == b"LIST":
                _list(stream, place(text))
            elif word == b"RECV":
                _receive(stream, place(text))
            elif word == b"SEND":
                _send(stream, place)(text)
            else:
                raise OSError(22, f"unknown request {word!r}")
        except OSError as error:
            message = (error.strerror or str(error)).encode()
            stream.write(PAIR.pack(b"FAIL", len(message)) + message)


def _stat(path: Path) -> bytes:
    try:
        found = path.lstat()
    except OSError:
        return struct.pack("<3I", 0, 0, 0)
    return struct.pack("<3I", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))


def _list(stream: Stream, folder: Path) -> None:
    for child in sorted(folder.iterdir()) if folder.is_dir() else []:
        name = child.name.encode("utf-8", "surrogateescape")
        stream.write(b"DENT" + _stat(child) + struct.pack("<I", len(name)) + name)
    stream.write(b"DONE" + bytes(16))


def _receive(stream: Stream, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            stream.write(PAIR.pack(b"DATA", len(chunk)) + chunk)
    stream.write(PAIR.pack(b"DONE", 0))


def _send(stream: Stream, place: Callable[[str], Path]) -> Callable[[str], None]:
    def take(text: str) -> None:
        name, _, mode = text.rpartition(",")
        path = place(name)
        problem: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("wb")
        except OSError as error:
            # What is on its way must be read all the same.
            problem, file = error, Path("/dev/null").open("wb")  # noqa: SIM115
        with file:
            while True:
                word, length = PAIR.unpack(stream.read(PAIR.size))
                if word == b"DONE":
                    break
                if word != b"DATA":
                    raise ClosedError
                file.write(stream.read(length))
        if problem:
            raise problem
        path.chmod(stat.S_IMODE(int(mode)) | 0o600)
        stream.write(PAIR.pack(b"OKAY", 0))

    return take
