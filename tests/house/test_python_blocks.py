"""Every Python block of README and docs runs, on a tiny bundle, as a reader would run it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[str]:
    """The blocks of ``page`` that are to run, in order."""
    return [code for info, code in BLOCK.findall(page.read_text("utf-8")) if info.strip() != "no-run"]


WITH_BLOCKS = [page for page in PAGES if blocks_of(page)]


def test_there_are_blocks_and_only_exports_generation_and_excerpts_are_left_out() -> None:
    assert len(WITH_BLOCKS) >= 3
    for page in PAGES:
        for info, code in BLOCK.findall(page.read_text("utf-8")):
            assert info.strip() in ("", "no-run")
            if info.strip() == "no-run" and page.name != "CONTRIBUTING.md":
                # Tests of their own run what such blocks say; tiny bundles have no decode graph, for the sake of time.
                left_out = any(call in code for call in ("seedtune.export(", ".generate(", "seedtune.merge("))
                assert left_out, f"{page}: a block is left out that could run"


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    for name in ("train", "validation", "test"):
        shutil.copy(tiny_data.train if name == "train" else tiny_data.eval, tmp_path / f"{name}.jsonl")
    for number, code in enumerate(blocks_of(page), 1):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"block {number}:\n{code}\n{done.stderr}"
