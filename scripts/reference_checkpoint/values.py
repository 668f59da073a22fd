"""Seeded values of realistic size, drawn tensor by tensor and part by part, so that no tensor is ever held whole.

Like transformers' initialiser matrices are normal with deviation 0.02. Unlike it, norms lie around 1 and biases around
0 instead of on them, so that a mix-up shows. Every tensor has a generator of its own, seeded by (seed, name): its
values do not depend on which tensors came before it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np

from reference_checkpoint.architectures import Stored

DEVIATION = {"matrix": 0.02, "bias": 0.01, "norm": 0.05}
CENTRE = {"matrix": 0.0, "bias": 0.0, "norm": 1.0}
CHUNK_VALUES = 1 << 22


def dtype_of(stored: Stored, dtype: str) -> np.dtype:
    """The type in which ``stored`` is written by a model of floating-point type ``dtype``."""
    return np.dtype(np.int64 if stored.kind == "positions" else dtype)


def chunks(stored: Stored, dtype: str, seed: int) -> Iterator[np.ndarray]:
    """The values of ``stored`` in their stored type, in order, as flat parts of at most CHUNK_VALUES."""
    count = math.prod(stored.shape)
    if stored.kind == "positions":
        yield np.arange(count, dtype=np.int64)
        return
    digest = hashlib.sha256(f"{seed}:{stored.name}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
    for start in range(0, count, CHUNK_VALUES):
        part = generator.standard_normal(min(CHUNK_VALUES, count - start), dtype=np.float32)
        part *= np.float32(DEVIATION[stored.kind])
        if CENTRE[stored.kind]:
            part += np.float32(CENTRE[stored.kind])
        yield part.astype(dtype, copy=False)
