"""The adb protocol as a phone speaks it (adb's own protocol.txt): messages, streams, and packets of the shell."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable

HEADER = struct.Struct("<6I")
VERSION = 0x01000001  # without checksums
MOST_BYTES = 1 << 20
NAMES = {name: int.from_bytes(name.encode(), "little") for name in ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE")}
WORDS = {value: name for name, value in NAMES.items()}
# Shell version 2: a packet is one byte of kind, four of length, and that many of data.
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


class ClosedError(Exception):
    """The other side closed the stream, or the connection is gone."""


class Stream:
    """One conversation within a connection: bytes both ways, each message acknowledged before the next."""

    def __init__(self, wire: Wire, ours: int, theirs: int) -> None:
        self._wire, self.ours, self.theirs = wire, ours, theirs
        self._arrived: queue.Queue[bytes | None] = queue.Queue()
        self._rest = b""
        self.acknowledged = threading.Event()
        self.closed = threading.Event()

    def arrive(self, data: bytes | None) -> None:
        self._arrived.put(data)

    def read_some(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        if self.closed.is_set() and self._arrived.empty():
            return b""
        data = self._arrived.get() or b""
        if data:
            self._wire.send("OKAY", self.ours, self.theirs)
        return data

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes."""
        data = b""
        while len(data) < count:
            more = self.read_some()
            if not more:
                raise ClosedError
            data += more
        data, self._rest = data[:count], data[count:] + self._rest
        return data

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), MOST_BYTES):
            if self.closed.is_set():
                raise ClosedError
            self.acknowledged.clear()
            self._wire.send("WRTE", self.ours, self.theirs, data[start : start + MOST_BYTES])
            while not self.acknowledged.wait(0.2):
                if self.closed.is_set():
                    raise ClosedError

    def packet(self, kind: int, data: bytes = b"") -> None:
        """A packet of the shell."""
        self.write(struct.pack("<BI", kind, len(data)) + data)

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            with contextlib.suppress(OSError):
                self._wire.send("CLSE", self.ours, self.theirs)

    def cut(self) -> None:
        self.closed.set()
        self.acknowledged.set()
        self.arrive(None)


class Wire:
    """One connection of adb's server, served until it ends.

    Args:
        connection: the socket.
        banner: what the phone says of itself.
        serve: what to do with a stream and the service that it asks for; on a thread of its own.
        authorised: whether the phone talks to this computer at all.
        bytes_a_second: how slow the cable is; 0 for as fast as may be.
    """

    def __init__(
        self,
        connection: socket.socket,
        banner: bytes,
        serve: Callable[[Stream, str], None],
        authorised: bool = True,
        bytes_a_second: int = 0,
    ) -> None:
        self._connection, self._banner, self._serve = connection, banner, serve
        self._authorised = authorised
        self._pause = 1 / bytes_a_second if bytes_a_second else 0.0
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self.cut_event = threading.Event()

    def send(self, name: str, first: int, second: int, data: bytes = b"") -> None:
        command = NAMES[name]
        header = HEADER.pack(command, first, second, len(data), 0, command ^ 0xFFFFFFFF)
        with self._sending:
            if self._pause:
                self.cut_event.wait(len(data) * self._pause)
            try:
                self._connection.sendall(header + data)
            except OSError as error:
                raise ClosedError from error

    def run(self) -> None:
        """Serves until the connection ends."""
        try:
            while True:
                command, first, second, length, _, magic = HEADER.unpack(self._exactly(HEADER.size))
                assert magic == command ^ 0xFFFFFFFF
                data = self._exactly(length)
                if self._pause:
                    self.cut_event.wait(length * self._pause)
                self._message(WORDS.get(command, "?"), first, second, data)
        except (ClosedError, OSError):
            pass
        finally:
            self.cut()

    def cut(self) -> None:
        """Ends the connection at once, as a pulled cable does."""
        self.cut_event.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        for stream in list(self._streams.values()):
            stream.cut()

    def _message(self, name: str, first: int, second: int, data: bytes) -> None:
        if name in ("CNXN", "AUTH"):
            if self._authorised:
                self.send("CNXN", VERSION, MOST_BYTES, self._banner)
            elif not (name == "AUTH" and first == 3):
                # A token to sign; behind the public key (3) the phone asks its user, who does not answer.
                self.send("AUTH", 1, 0, b"\x07" * 20)
        elif name == "OPEN":
            stream = self._streams[self._next] = Stream(self, self._next, first)
            self._next += 1
            self.send("OKAY", stream.ours, stream.theirs)
            service = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            threading.Thread(target=self._serving, args=(stream, service), daemon=True).start()
        elif stream_ := self._streams.get(second):
            if name == "WRTE":
                stream_.arrive(data)
            elif name == "OKAY":
                stream_.acknowledged.set()
            elif name == "CLSE":
                stream_.cut()
                self._streams.pop(second, None)

    def _serving(self, stream: Stream, service: str) -> None:
        try:
            self._serve(stream, service)
        except ClosedError:
            pass
        finally:
            with contextlib.suppress(ClosedError):
                stream.close()

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            more = self._connection.recv(min(1 << 20, count - len(data)))
            if not more:
                raise ClosedError
            data += more
        return bytes(data)
