"""Which files of a run go to others: its card, and an adapter, a merged model or a bundle, never rows.

A RUN folder itself is not shared: ``run.json`` names files of this machine, and predictions hold texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.signing import SIGNATURE
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RUN_FILE

CARD, MANIFEST = "README.md", "manifest.json"
# A file that says what a folder is -> what it is.
SIGNS: Mapping[str, str] = {
    "adapter_config.json": "an adapter of PEFT",
    "config.json": "a merged checkpoint",
    "model.onnx": "an ONNX model",
}
GGUF = ".gguf"


@dataclass(frozen=True)
class Contents:
    """What is to be uploaded.

    Attributes:
        card: the text of README.md.
        what: the rest, in a word or two; None for the card alone.
        files: name there -> file here.
    """

    card: str
    what: str | None
    files: Mapping[str, Path]

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes, the card first."""
        return {CARD: len(self.card.encode())} | {name: path.stat().st_size for name, path in self.files.items()}


def contents_of(card: str, given: Path | None) -> Contents:
    """The card, and what is in ``given``: what ``seedtune adapter``, ``merge`` or ``export`` wrote.

    Args:
        card: the text of README.md, which takes the place of one in ``given``.
        given: a folder, a file of GGUF, or None for the card alone.

    Raises:
        SeedTuneError: it is none of these, is damaged, or holds what is not a plain file of its own.
    """
    if given is None:
        return Contents(card, None, {})
    if given.is_file() and given.suffix == GGUF:
        return Contents(card, "an adapter of llama.cpp", {given.name: given})
    if (given / RUN_FILE).exists():
        raise SeedTuneError(
            "a RUN folder is not for others: it holds texts of your rows and paths of this machine",
            file=given,
            rule="a folder that seedtune adapter, merge or export wrote",
            remedy="write an adapter or a merged model first, and give its folder",
        )
    if (given / MANIFEST).is_file():
        # Only what the manifest lists: contexts that lie beside it were made of rows.
        names = [MANIFEST, *Bundle.open(given).manifest.files]
        names += [SIGNATURE] if (given / SIGNATURE).exists() else []
        return Contents(card, "a bundle", _plain(given, names))
    what = next((what for sign, what in SIGNS.items() if (given / sign).is_file()), None)
    if what is None:
        raise SeedTuneError(
            "this is nothing that SeedTune wrote for others",
            file=given,
            rule=f"a bundle, a file {GGUF}, or a folder with {', '.join(SIGNS)}",
            remedy="give what seedtune adapter, merge or export wrote",
        )
    return Contents(card, what, _plain(given, sorted(entry.name for entry in given.iterdir() if entry.name != CARD)))


def _plain(folder: Path, names: list[str]) -> dict[str, Path]:
    """Name -> file, of plain files that lie in ``folder`` itself."""
    found = {}
    for name in names:
        path = folder / name
        if name.startswith(".") or path.is_symlink() or not path.is_file():
            raise SeedTuneError(
                "not everything here is a plain file, and only such are uploaded",
                file=path,
                rule="files, no folders, links or hidden ones",
                remedy="take it out of the folder",
            )
        found[name] = path
    return found
