"""The +-1 noise of `seedtune.runtime.noise` in uint32 ONNX operators, bit for bit.

Hash words are cheap (one for 32 parameters); turning their bits into floats is not. So each byte of a word indexes a
table of its eight signs: the words of n parameters become n/8 table rows, copied by one Gather.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.noise import BITS_PER_WORD, GOLDEN, MULTIPLIER_1, MULTIPLIER_2

BYTES_PER_WORD = 4
SIGNS_PER_BYTE = 8


def sign_table() -> np.ndarray:
    """The eight signs of every byte, least significant bit first, [256, 8] float32 of +-1."""
    bits = (np.arange(256)[:, None] >> np.arange(SIGNS_PER_BYTE)) & 1
    return (bits * 2 - 1).astype(np.float32)


def noise_bytes(emit: Emitter, seed: ir.Value, parameters: int) -> ir.Value:
    """The bytes of the hash words of ``seed`` ([1] uint32) for n parameters, [n/32, 4] int32.

    ``parameters`` (n) is a multiple of 32.
    """
    if parameters % BITS_PER_WORD:
        raise ValueError(f"parameters % {BITS_PER_WORD} != 0: {parameters}")
    index = emit.constant(np.arange(parameters // BITS_PER_WORD, dtype=np.uint32))
    words = _mix(emit, emit.op("BitwiseXor", index, seed))
    words = _mix(emit, emit.op("Add", words, emit.op("Mul", seed, emit.unsigned(GOLDEN))))
    column = emit.op("Unsqueeze", words, emit.integers(1))
    shifted = emit.op("BitShift", column, emit.unsigned(0, 8, 16, 24), direction="RIGHT")
    return emit.op("Cast", emit.op("BitwiseAnd", shifted, emit.unsigned(0xFF)), to=ir.DataType.INT32)


def signs_of(emit: Emitter, noise: ir.Value, table: ir.Value, offset: int, shape: tuple[int, ...]) -> ir.Value:
    """The table rows of parameters offset..offset+prod(shape)-1, as a tensor of ``shape``.

    Args:
        noise: what :func:`noise_bytes` returns, [n/32, 4] int32.
        table: :func:`sign_table`, or a multiple of it.
        offset: the first parameter, a multiple of 32.
        shape: the shape of the parameters.
    """
    count = int(np.prod(shape))
    first, last = offset // BITS_PER_WORD, (offset + count + BITS_PER_WORD - 1) // BITS_PER_WORD
    part = emit.op("Slice", noise, emit.integers(first), emit.integers(last), emit.integers(0))
    flat = emit.op("Reshape", emit.op("Gather", table, part, axis=0), emit.integers(-1))
    if count % BITS_PER_WORD:
        flat = emit.op("Slice", flat, emit.integers(0), emit.integers(count), emit.integers(0))
    return emit.op("Reshape", flat, emit.integers(*shape))


def _mix(emit: Emitter, x: ir.Value) -> ir.Value:
    x = emit.op("BitwiseXor", x, _right(emit, x, 16))
    x = emit.op("Mul", x, emit.unsigned(MULTIPLIER_1))
    x = emit.op("BitwiseXor", x, _right(emit, x, 15))
    x = emit.op("Mul", x, emit.unsigned(MULTIPLIER_2))
    return emit.op("BitwiseXor", x, _right(emit, x, 16))


def _right(emit: Emitter, x: ir.Value, bits: int) -> ir.Value:
    return emit.op("BitShift", x, emit.unsigned(bits), direction="RIGHT")
