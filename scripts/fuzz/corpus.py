"""Mutated inputs as lines of JSON, for a reader in another language, with what became of each here."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from fuzz.target import Files, Target


class Corpus:
    """Lines of ``FOLDER/TARGET.jsonl``: the whole files first, then one line an input.

    Each has ``files``, path -> base64 of its bytes or, of what is no file, a colon and its kind. A line of an
    input also has its ``seed``, whether Python ``accepted`` it, and what the target says it ``said``.
    """

    def __init__(self, folder: Path, target: Target) -> None:
        self._path = folder / f"{target.name}.jsonl"
        if not self._path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._append({"files": _spelled(target.whole)})

    def add(self, seed: int, files: Files, accepted: bool, said: object) -> None:
        """Appends an input."""
        self._append({"seed": seed, "files": _spelled(files), "accepted": accepted, "said": said if accepted else None})

    def _append(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _spelled(files: Files) -> dict[str, str]:
    return {
        path: base64.b64encode(content).decode() if isinstance(content, bytes) else f":{content.kind}"
        for path, content in files.items()
    }
