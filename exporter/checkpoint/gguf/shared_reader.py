"""One parse of a GGUF file instead of four: transformers asks gguf for a new reader at every step.

A parse of SmolLM2's header takes gguf 0.19 about four seconds (its vocabulary is read value by value), and opening a
checkpoint with its reference takes four parses: configuration, tokenizer, and twice for the weights. Readers only read,
so the last one is kept and handed out again for the same unchanged file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import gguf

_Reader = gguf.GGUFReader


@lru_cache(maxsize=1)
def _parse(path: str, _size: int, _modified: int) -> gguf.GGUFReader:
    return _Reader(path)


def _shared(path: str | Path, *_mode: str) -> gguf.GGUFReader:
    status = Path(path).stat()
    return _parse(str(path), status.st_size, status.st_mtime_ns)


@contextmanager
def shared_reader() -> Iterator[None]:
    """Within the block, ``gguf.GGUFReader(path)`` gives the reader that was made for ``path`` before, if any."""
    gguf.GGUFReader = _shared  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        gguf.GGUFReader = _Reader  # type: ignore[misc]
