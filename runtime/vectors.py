"""Named arrays in a safetensors file (github.com/huggingface/safetensors, "Format"): states of a run, rows of a scan.

Written and read here rather than by the library of that name, which the runtime does without; any reader of the format
opens them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.decoding import decoded, read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably

Floats = npt.NDArray[np.float32]
ALIGNMENT = 8
TYPES = {"float32": "F32", "int64": "I64", "uint8": "U8"}
RESTORE = "restore the file from a copy"
WHAT = "the vectors of a state"
# The format's own name for texts about a file.
METADATA = "__metadata__"


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: list[int]
    data_offsets: list[int]


def encode_tensors(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of ``tensors``, of any shape, in order and without gaps; and texts about them.

    Args:
        tensors: name -> float32, int64 or uint8.
        metadata: the texts.
    """
    header: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name, values in tensors.items():
        begin, end = end, end + values.nbytes
        header[name] = {"dtype": TYPES[values.dtype.name], "shape": list(values.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    data = (values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes() for values in tensors.values())
    return b"".join((len(text).to_bytes(8, "little"), text, *data))


def write_vectors(path: Path, vectors: Mapping[str, Floats], metadata: Mapping[str, str] | None = None) -> None:
    """Puts ``vectors``, [n] float32 each, and texts about them durably into the file ``path``.

    Raises:
        SeedTuneError: the file cannot be written.
    """
    write_durably(path, encode_tensors(vectors, metadata))


def read_vectors(path: Path, names: Sequence[str], length: int) -> dict[str, Floats]:
    """The vectors ``names`` of the file ``path``, [length] float32 each.

    Raises:
        SeedTuneError: the file is missing or damaged, or holds others.
    """
    return read_described(path, names, length)[0]


def read_described(path: Path, names: Sequence[str], length: int) -> tuple[dict[str, Floats], dict[str, str]]:
    """As :func:`read_vectors`, and the texts about them."""
    raw = read_plain_file(path, WHAT, RESTORE)
    start = 8 + int.from_bytes(raw[:8], "little")
    rule = f"a safetensors file with {', '.join(names)}, {length:,} float32 numbers each"
    if not 8 < start <= len(raw):
        raise _damaged(path, f"a header of {start - 8:,} bytes in {len(raw):,}", rule)
    message = f"{WHAT} cannot be read"
    header = decoded(raw[8:start], dict[str, msgspec.Raw], path, message, rule, RESTORE)
    texts = header.pop(METADATA, None)
    metadata = {} if texts is None else decoded(bytes(texts), dict[str, str], path, message, rule, RESTORE)
    found: dict[str, Floats] = {}
    for name in names:
        entry = None
        if name in header:
            entry = decoded(bytes(header[name]), _Entry, path, message, rule, RESTORE)
        if entry is None or entry.dtype != "F32" or entry.shape != [length] or len(entry.data_offsets) != 2:
            raise _damaged(path, f"{name}: {entry and (entry.dtype, entry.shape)}", rule)
        first, last = (start + offset for offset in entry.data_offsets)
        if last - first != 4 * length or not start <= first <= last <= len(raw):
            raise _damaged(path, f"{name} at {entry.data_offsets}", rule)
        found[name] = np.frombuffer(raw, "<f4", length, first).astype(np.float32)
    return found, metadata


def sha256_of_vector(values: Floats) -> bytes:
    """SHA-256 of the little-endian float32 bytes, 32 bytes."""
    return hashlib.sha256(values.astype("<f4", copy=False).tobytes()).digest()


def _damaged(path: Path, value: object, rule: str) -> SeedTuneError:
    return SeedTuneError("the file does not hold what it should", file=path, value=value, rule=rule, remedy=RESTORE)
