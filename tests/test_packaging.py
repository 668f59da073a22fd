"""What the project's file lists is what the folders hold."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_of_code_is_a_listed_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for top in ("exporter", "runtime") for path in (ROOT / top).rglob("*.py")}
    found = {".".join(["seedtune", *folder.relative_to(ROOT).parts]) for folder in folders}
    assert set(listed) == found
    assert len(listed) == len(set(listed))
