"""Gives memory that was freed back to the system, where the C library would keep it for later."""

from __future__ import annotations

import ctypes
import gc


def trim() -> None:
    """Collects garbage, then returns free pages of the heap (glibc only; elsewhere it collects and does no more).

    A tokenizer of 50,000 tokens takes 50 MB while rows are encoded, which a run would hold to its end otherwise.
    """
    gc.collect()
    try:
        # glibc: malloc_trim(3).
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
