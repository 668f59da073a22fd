"""Sizes as people write them."""

from __future__ import annotations

import math
import re

from seedtune.runtime.errors import SeedTuneError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def size_bytes(size: int | str, name: str) -> int:
    """Bytes: a number, or one with K, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti (powers of 1024), and an optional B.

    Args:
        size: as it was given.
        name: of the option, for the message.

    Raises:
        SeedTuneError: ``size`` is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", str(size).upper())
    parsed = float("inf") if found is None or found[2] == "I" else float(found[1]) * UNITS[found[2]]
    if math.isinf(parsed):
        raise SeedTuneError(
            f"{name} is not a size",
            value=size,
            rule="a number of bytes, such as 500M, 2G or 1.5Gi",
            remedy="write 1G",
        )
    return int(parsed)
