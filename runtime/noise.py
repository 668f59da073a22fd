"""The one source of randomness: a 32-bit integer hash, the same in numpy, in ONNX and in Kotlin.

Nothing here keeps a state and nothing touches a global generator. Every random number of a run is a pure function
of the run seed, the purpose it is drawn for and a counter, so a run can be resumed or replayed from any step.

The mixer is ``lowbias32`` (C. Wellons, "Prospecting for Hash Functions", 2018): with ``x ^= x >> 16; x *= 0x7feb352d;
x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16`` it is a bijection of 32-bit words. Reference values: ``mix32`` of 0, 1, 2
and 12345 is 0, 0x688990C0, 0xD1132181 and 0x912EFCF7.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

GOLDEN = 0x9E3779B1
MULTIPLIER_1 = 0x7FEB352D
MULTIPLIER_2 = 0x846CA68B
BITS_PER_WORD = 32


def mix32(x: Words) -> Words:
    """``lowbias32`` of every element of ``x`` (any shape, uint32)."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(MULTIPLIER_1)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(MULTIPLIER_2)
    return x ^ (x >> np.uint32(16))


def noise_words(seed: int, count: int) -> Words:
    """``count`` hash words of ``seed``: ``mix32(mix32(i ^ seed) + seed * GOLDEN)`` for i in 0..count-1, [count].

    Keyed twice, so that two seeds never give the same stream at a shift.
    """
    return noise_words_at(np.arange(count, dtype=np.uint32), np.array([seed], np.uint32))


def noise_words_at(index: Words, keys: Words) -> Words:
    """The words at the places ``index`` of the seeds ``keys``, of the shape that both broadcast to."""
    with np.errstate(over="ignore"):
        return mix32(mix32(index ^ keys) + keys * np.uint32(GOLDEN))


def rademacher(seed: int, count: int) -> npt.NDArray[np.float32]:
    """``count`` values of +1 or -1, [count] float32: bit ``i % 32`` of noise word ``i // 32`` (1 means +1)."""
    words = noise_words(seed, -(-count // BITS_PER_WORD))
    bits = (words[:, None] >> np.arange(BITS_PER_WORD, dtype=np.uint32)) & np.uint32(1)
    return (bits.reshape(-1)[:count].astype(np.float32) * 2.0 - 1.0).astype(np.float32)


def derive_seed(seed: int, purpose: str, counter: int = 0) -> int:
    """A 32-bit seed for ``purpose`` ("probe", "sampler", "adapter") and ``counter``, from the 32-bit ``seed``.

    The purpose enters as the FNV-1a hash of its ASCII bytes.
    """
    tag = 0x811C9DC5
    for byte in purpose.encode("ascii"):
        tag = ((tag ^ byte) * 0x01000193) & 0xFFFFFFFF
    word = np.array([counter & 0xFFFFFFFF], np.uint32)
    with np.errstate(over="ignore"):
        word = mix32(word + np.uint32(seed & 0xFFFFFFFF) * np.array([GOLDEN], np.uint32))
        word = mix32(word ^ np.uint32(tag))
    return int(word[0])


def permutation(seed: int, count: int) -> npt.NDArray[np.int64]:
    """The numbers 0..count-1 in an order drawn from ``seed``, [count]: sorted by (noise word, number)."""
    return np.argsort(noise_words(seed, count), kind="stable").astype(np.int64)
