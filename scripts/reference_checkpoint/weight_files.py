"""Writes tensors as they come: one safetensors file, or PyTorch's zip format, in one file or in shards.

A .bin file is what `torch.save` writes: a zip archive, nothing compressed, every member on a multiple of 64 bytes, with
`data.pkl` (names, types, shapes, keys of storages) and one member a storage. `torch.save` itself wants all values in
memory; the archive is written here instead, through Python's zipfile, which also computes the checksums.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reference_checkpoint.architectures import Architecture, Stored
from reference_checkpoint.values import chunks, dtype_of

ALIGNMENT_BYTES = 64
SAFETENSORS_NAMES = {"float32": "F32", "float16": "F16", "int64": "I64"}
STORAGES = {"float32": torch.FloatStorage, "float16": torch.HalfStorage, "int64": torch.LongStorage}
Advance = Callable[[int], None]


def size_bytes(stored: Stored, dtype: str) -> int:
    """Bytes of the values of ``stored``; 0 where it shares another's storage."""
    return 0 if stored.same_as else math.prod(stored.shape) * dtype_of(stored, dtype).itemsize


def write_weights(folder: Path, architecture: Architecture, seed: int, advance: Advance) -> list[Path]:
    """Writes the weights of ``architecture`` into ``folder``; ``advance`` is told the bytes as they are written.

    Returns:
        The files, an index included.
    """
    tensors, dtype = list(architecture.tensors()), architecture.dtype
    if architecture.format == "safetensors":
        return [write_safetensors(folder / "model.safetensors", tensors, dtype, seed, advance)]
    shards = list(_shards(tensors, dtype, architecture.shard_bytes))
    if len(shards) == 1:
        return [write_bin(folder / "pytorch_model.bin", tensors, dtype, seed, advance)]
    files: list[Path] = []
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = folder / f"pytorch_model-{number:05}-of-{len(shards):05}.bin"
        files.append(write_bin(file, shard, dtype, seed, advance))
        places |= {stored.name: file.name for stored in shard}
    total = sum(size_bytes(stored, dtype) for stored in tensors)
    index = folder / "pytorch_model.bin.index.json"
    text = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    index.write_text(json.dumps(text, indent=2) + "\n")
    return [*files, index]


def write_safetensors(file: Path, tensors: Sequence[Stored], dtype: str, seed: int, advance: Advance) -> Path:
    """One safetensors file, wide types first as the library orders them."""
    ordered = sorted(tensors, key=lambda stored: (-dtype_of(stored, dtype).itemsize, stored.name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for stored in ordered:
        start, end = end, end + size_bytes(stored, dtype)
        spelled = SAFETENSORS_NAMES[dtype_of(stored, dtype).name]
        header[stored.name] = {"dtype": spelled, "shape": list(stored.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        for stored in ordered:
            for part in chunks(stored, dtype, seed):
                opened.write(part.data)
                advance(part.nbytes)
    return file


def write_bin(file: Path, tensors: Sequence[Stored], dtype: str, seed: int, advance: Advance) -> Path:
    """One file in PyTorch's zip format, as `torch.save(state_dict, file)` would write it."""
    keys = {stored.name: str(key) for key, stored in enumerate(s for s in tensors if s.same_as is None)}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        small = {"data.pkl": _pickled(tensors, keys, dtype), "byteorder": b"little"}
        for name, content in small.items():
            _member(archive, f"{file.stem}/{name}", len(content), [np.frombuffer(content, np.uint8)], lambda _: None)
        for stored in tensors:
            if stored.same_as is None:
                name, size = f"{file.stem}/data/{keys[stored.name]}", size_bytes(stored, dtype)
                _member(archive, name, size, chunks(stored, dtype, seed), advance)
        _member(archive, f"{file.stem}/version", 2, [np.frombuffer(b"3\n", np.uint8)], lambda _: None)
    return file


def _shards(tensors: Iterable[Stored], dtype: str, limit_bytes: int) -> Iterator[list[Stored]]:
    """Filled in order, as transformers' `save_pretrained` did; a shared storage stays in one file."""
    shard: list[Stored] = []
    filled = 0
    tied: dict[str, list[Stored]] = {}
    for stored in (tensors := list(tensors)):
        if stored.same_as:
            tied.setdefault(stored.same_as, []).append(stored)
    for stored in tensors:
        if stored.same_as:
            continue
        size = size_bytes(stored, dtype)
        if shard and filled + size > limit_bytes:
            yield shard
            shard, filled = [], 0
        shard += [stored, *tied.get(stored.name, [])]
        filled += size
    yield shard


class _Storage:
    """Stands for a storage while pickling; torch.load puts the archive's member in its place."""

    def __init__(self, description: tuple[Any, ...]) -> None:
        self.description = description


class _Tensor:
    """Pickles as a contiguous tensor over a storage."""

    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self.storage = storage
        self.shape = shape

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))
        arguments: tuple[Any, ...] = (self.storage, 0, self.shape, strides, False, OrderedDict())
        return torch._utils._rebuild_tensor_v2, arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> tuple[Any, ...] | None:
        return value.description if isinstance(value, _Storage) else None


def _pickled(tensors: Iterable[Stored], keys: dict[str, str], dtype: str) -> bytes:
    state: OrderedDict[str, _Tensor] = OrderedDict()
    for stored in tensors:
        storage_type = STORAGES[dtype_of(stored, dtype).name]
        key = keys[stored.same_as or stored.name]
        description = ("storage", storage_type, key, "cpu", math.prod(stored.shape))
        state[stored.name] = _Tensor(_Storage(description), stored.shape)
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(state)
    return buffer.getvalue()


def _member(archive: zipfile.ZipFile, name: str, size: int, parts: Iterable[np.ndarray], advance: Advance) -> None:
    """One stored member whose content starts on a multiple of ALIGNMENT_BYTES, and on a date that never changes."""
    info = zipfile.ZipInfo(name)
    info.file_size = size
    assert archive.fp is not None
    # A local header is 30 bytes and the name; torch pads with an extra field named FB too.
    start = archive.fp.tell() + 30 + len(name.encode()) + 4
    padding = -start % ALIGNMENT_BYTES
    info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    with archive.open(info, "w") as opened:
        for part in parts:
            opened.write(part.data)
            advance(part.nbytes)
