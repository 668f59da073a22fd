"""Failures of the tokenizers library.

It raises bare exceptions, and panics, which are none in Python's sense. Whenever a tokenizer is copied it goes through
all ids up to the largest, used or not, and of two tokens with the same id it forgets one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError

# A guess: four times the largest vocabulary there is.
MAX_IDS = 1 << 22
# What pyo3 makes of a panic: a BaseException whose class cannot be imported.
PANIC = "PanicException"


@contextmanager
def refusing(what: str, remedy: str, file: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """A block that calls into the library; whatever it raises becomes a SeedTuneError about ``what``."""
    try:
        yield
    except SeedTuneError:
        raise
    except MemoryError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        lines = str(error).strip().splitlines()
        raise SeedTuneError(
            what, file=file, value=f"{type(error).__name__}: {lines[0] if lines else ''}", remedy=remedy
        ) from error


def require_usable_ids(tokenizer: Tokenizer, file: str | os.PathLike[str]) -> None:
    """Raises SeedTuneError where two tokens of the model have the same id, or an id is too large to be copied."""
    ids = list(tokenizer.get_vocab(with_added_tokens=False).values())
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if len(set(ids)) < len(ids) or largest >= MAX_IDS:
        raise SeedTuneError(
            "the tokenizer numbers its tokens in a way that cannot be used",
            file=file,
            value=f"{len(ids):,} tokens, {len(set(ids)):,} ids, up to {largest:,}",
            rule=f"an id of its own for each token, below {MAX_IDS:,}",
            remedy="use the tokenizer that belongs to the model",
        )
