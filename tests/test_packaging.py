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
        mapped = [name for name, place in places.items() if place == within.replace(".", "/")]
        found.add(mapped[0] if mapped else f"seedtune.{within}")
    assert set(listed) == found
    assert len(listed) == len(set(listed))
    assert places["seedtune"] == "runtime/face"
