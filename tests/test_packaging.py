"""What the project's file lists is what the folders hold."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_of_code_is_a_listed_package_and_the_face_is_the_package_itself() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed, places = setuptools["packages"], setuptools["package-dir"]
    found = set()
    for folder in {path.parent for top in ("exporter", "runtime") for path in (ROOT / top).rglob("*.py")}:
        within = ".".join(folder.relative_to(ROOT).parts)
        # The face is the package itself, and so are the rooms within it.
        found.add(f"seedtune.{within}".replace("seedtune.runtime.face", "seedtune"))
    assert set(listed) == found
    assert len(listed) == len(set(listed))
    assert places["seedtune"] == "runtime/face"
