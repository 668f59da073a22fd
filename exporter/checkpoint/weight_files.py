"""Which files of a model folder hold its weights, checked from their headers alone.

transformers finds and reads the same files; this looks first, so that a damaged or missing one is named, and
so that one float type is chosen in which every tensor can stay where it is: mapped, not copied.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open

from seedtune.exporter.checkpoint.foreign import refuse_adapter_tensors, refuse_shards_without_index
from seedtune.runtime.errors import SeedTuneError

# In transformers' own order of preference.
CANDIDATES: tuple[tuple[str, Literal["safetensors", "pickle"]], ...] = (
    ("model.safetensors", "safetensors"),
    ("model.safetensors.index.json", "safetensors"),
    ("pytorch_model.bin", "pickle"),
    ("pytorch_model.bin.index.json", "pickle"),
)
KEPT = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Integers and booleans are persistent buffers (position ids), which keep their type beside any float type.
BUFFERS = frozenset({"I64", "I32", "I16", "I8", "U8", "BOOL", "U16", "U32", "U64"})
SPELLED = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class WeightFiles:
    """The weight files of a folder.

    Attributes:
        kind: ``"safetensors"``, or ``"pickle"`` for PyTorch's .bin files (opened with weights_only).
        files: in the index's order.
        dtype: the float type that all files share; float32 if they mix types or hold float64.
        names: of all tensors.
    """

    kind: Literal["safetensors", "pickle"]
    files: tuple[Path, ...]
    dtype: torch.dtype
    names: tuple[str, ...]


def find_weight_files(folder: Path) -> WeightFiles:
    """The weight files of ``folder``, every header read.

    Raises:
        SeedTuneError: if there is none, a shard or an index is missing, a file damaged, a tensor's type unusable,
            or there are an adapter's tensors among them.
    """
    for name, kind in CANDIDATES:
        if not (folder / name).is_file():
            continue
        files = _shards(folder / name) if name.endswith(".json") else (folder / name,)
        types: dict[str, str] = {}
        for file in files:
            types |= _safetensors_types(file) if kind == "safetensors" else _pickle_types(file)
        refuse_adapter_tensors(types, files[0])
        return WeightFiles(kind, files, _common_dtype(types, files[0]), tuple(types))
    refuse_shards_without_index(folder)
    raise _no_weights(folder)


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SeedTuneError(
            "the index of the shards cannot be read",
            file=index,
            value=str(error),
            rule='a JSON object with a "weight_map" from tensor names to file names',
            remedy="fetch the index again",
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise SeedTuneError(
                "the index names a file outside the folder",
                file=index,
                value=name,
                rule="shards are plain file names beside their index",
                remedy="fetch the checkpoint again, from a source you trust",
            )
    missing = [name for name in names if not _is_file(index.parent / name)]
    if missing or not names:
        raise SeedTuneError(
            "a shard is missing",
            file=index.parent / missing[0] if missing else index,
            value=missing,
            rule=f"all {len(names)} files that {index.name} names lie beside it",
            remedy="fetch the missing files",
        )
    return tuple(index.parent / name for name in names)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system takes
        return False


def _safetensors_types(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def _pickle_types(file: Path) -> dict[str, str]:
    try:
        # On the meta device only the names, types and shapes are read.
        state = torch.load(file, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(file) or None)
    except pickle.UnpicklingError as error:
        raise SeedTuneError(
            "the file is damaged, or holds Python objects other than tensors",
            file=file,
            value=str(error).splitlines()[0],
            rule="a PyTorch state dict that torch.load(weights_only=True) accepts",
            remedy="fetch the file again, or fetch the model's safetensors instead",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise damaged(file, error) from error
    if not isinstance(state, dict):
        raise damaged(file, TypeError(f"it holds a {type(state).__name__}, not a dict of tensors"))
    return {
        str(name): SPELLED.get(value.dtype, str(value.dtype))
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def _common_dtype(types: dict[str, str], file: Path) -> torch.dtype:
    for name, spelled in types.items():
        if spelled not in KEPT and spelled not in BUFFERS and spelled != "F64":
            raise SeedTuneError(
                f"the weight {name} has a type that SeedTune does not read",
                file=file,
                value=spelled,
                rule="float32, float16, bfloat16 or float64 weights",
                remedy="fetch the model's unquantised weights, or a GGUF file of it",
            )
    floats = {spelled for spelled in types.values() if spelled not in BUFFERS}
    return KEPT.get(floats.pop(), torch.float32) if len(floats) == 1 else torch.float32


def damaged(file: Path, error: BaseException) -> SeedTuneError:
    """The error for a weight file that its reader refuses."""
    first = (str(error).splitlines() or [""])[0]
    return SeedTuneError(
        "the file is damaged or was cut short",
        file=file,
        value=f"{file.stat().st_size if file.exists() else 0:,} bytes; {type(error).__name__}: {first}",
        rule="a complete safetensors, PyTorch or GGUF file",
        remedy="fetch the file again and compare its size with the source's",
    )


def _no_weights(folder: Path) -> SeedTuneError:
    ggufs = sorted(path.name for path in folder.glob("*.gguf"))
    if ggufs:
        remedy = f"name the GGUF file itself: {folder / ggufs[0]}"
    else:
        remedy = "fetch the weights, or check that this is the folder you meant"
    return SeedTuneError(
        "the folder holds no weights",
        file=folder,
        value=sorted(path.name for path in folder.iterdir())[:12],
        rule=f"one of {', '.join(name for name, _ in CANDIDATES)}",
        remedy=remedy,
    )
