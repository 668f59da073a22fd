"""Every path that a comment, a docstring or a page names is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = "runtime|exporter|scripts|tests|docs|android_app"
PATH = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*[\w])")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# Stands for a name in an example.
PLACEHOLDER = re.compile(r"[A-Z]{3,}|YYYY")
# A laboratory notebook says what was there on its day; a change log, what was there once.
DATED = re.compile(r"docs/log/[0-9].*|CHANGELOG\.md")


def tracked() -> list[str]:
    """Files that are text and ours, as git lists them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    names = [name for name in listed if name.endswith((".py", ".kt", ".md", ".toml", ".kts"))]
    assert len(names) > 300
    return [name for name in names if not DATED.fullmatch(name)]


@pytest.fixture(scope="module")
def names() -> list[str]:
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("not a checkout: what is tracked is not known")
    return tracked()


def test_every_path_that_is_named_is_there(names: list[str]) -> None:
    missing = []
    for name in names:
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1):
            for path in PATH.findall(line):
                there = (ROOT / path).exists() or (ROOT / f"{path}.py").exists()
                if not there and not PLACEHOLDER.search(path) and not _made(path):
                    missing.append(f"{name}:{number}: {path}")
    assert not missing, "\n".join(missing)


def _made(path: str) -> bool:
    """Whether ``path`` is made by a build or a measurement rather than kept."""
    return path.startswith(("android_app/app/target", "android_app/engine/target", "docs/measurements"))


def test_every_link_of_a_page_leads_somewhere(names: list[str]) -> None:
    broken = []
    for name in (name for name in names if name.endswith(".md")):
        for link in LINK.findall((ROOT / name).read_text("utf-8")):
            if "://" not in link and not (ROOT / name).parent.joinpath(link).exists():
                broken.append(f"{name}: {link}")
    assert not broken, "\n".join(broken)
