"""Arrays of a bundle, float32 and int64, in a safetensors file (github.com/huggingface/safetensors, "Format").

Read by mapping: of an array that is larger than memory only those rows are touched that somebody asks for. Written and
read here rather than by the library of that name, which the runtime does without; `vectors.py` is the same for states.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.decoding import decoded, require_plain_file
from seedtune.runtime.errors import SeedTuneError

Array = npt.NDArray[Any]
TYPES = {"F32": "<f4", "I64": "<i8"}
ALIGNMENT = 8
MAX_HEADER_BYTES = 1 << 20
WHAT, RULE = "the rows of the bundle", "a safetensors file of float32 and int64 arrays, as SeedTune writes it"
REMEDY = "copy it again, or make it again"
METADATA = "__metadata__"


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def encode_arrays(arrays: Mapping[str, Array]) -> Iterator[bytes | memoryview]:
    """The parts of a safetensors file of ``arrays``, float32 and int64, without gaps."""
    names = {np.dtype(kind): name for name, kind in TYPES.items()}
    header: dict[str, object] = {}
    end = 0
    # Those of eight bytes first, so that each lies at a multiple of its own size.
    ordered = dict(sorted(arrays.items(), key=lambda pair: -pair[1].dtype.itemsize))
    for name, array in ordered.items():
        begin, end = end, end + array.nbytes
        kind = names[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    yield len(text).to_bytes(8, "little") + text
    for array in ordered.values():
        yield np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes ``arrays``, float32 and int64, into the new file ``path``.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        file.writelines(encode_arrays(arrays))


def read_arrays(path: Path, what: str = WHAT) -> dict[str, Array]:
    """Name -> array of the file ``path``, mapped and not to be written to; ``what`` they are, for messages.

    Raises:
        SeedTuneError: the file is missing or damaged, or holds arrays of another type.
    """
    require_plain_file(path, what, REMEDY)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
                raise _damaged(path, what, f"a header of {length:,} bytes in {size:,}")
            raw = file.read(length)
        whole: Array = np.empty(0, np.uint8)
        if size > 8 + length:
            whole = np.asarray(np.memmap(path, np.uint8, "r", 8 + length))
    except OSError as error:
        raise SeedTuneError(f"{what} cannot be read ({error.strerror})", file=path, rule=RULE, remedy=REMEDY) from error
    entries = decoded(raw, dict[str, msgspec.Raw], path, f"{what} cannot be read", RULE, REMEDY)
    entries.pop(METADATA, None)
    found: dict[str, Array] = {}
    for name, part in entries.items():
        entry = decoded(bytes(part), _Entry, path, f"{what} cannot be read", RULE, REMEDY)
        first, last = entry.data_offsets
        kind = np.dtype(TYPES.get(entry.dtype, "V0"))
        fits = kind.itemsize and min((*entry.shape, first), default=0) >= 0 and first <= last <= len(whole)
        if not fits or last - first != math.prod(entry.shape) * kind.itemsize or first % kind.itemsize:
            raise _damaged(path, what, f"{name}: {entry.dtype} {list(entry.shape)} at {first} to {last}")
        found[name] = whole[first:last].view(kind).reshape(entry.shape)
    return found


def _damaged(path: Path, what: str, value: object) -> SeedTuneError:
    return SeedTuneError(f"{what} are damaged", file=path, value=value, rule=RULE, remedy=REMEDY)
