"""A project of three small benches, and the real runner to call on it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "scripts" / "bench"
BENCHES = {
    "count": """
import sys
from lab.report import command_line, report
WHAT = "how many it was given"
BAR = {"count": "<= 3"}
parser = command_line(__file__, "Counts.", BAR)
parser.add_argument("things", nargs="*")
things = parser.parse_args().things
print("before the last line")
print("aside", file=sys.stderr)
report("Counted", [("count", str(len(things)), BAR["count"])], {"count": len(things), "things": things})
""",
    "fail": """
import sys
WHAT = "nothing: it ends too early"
BAR = {}
print('{"count": 1}')
sys.exit("out of luck")
""",
    "mute": """
WHAT = "nothing: it has no figures"
BAR: dict[str, str] = {}
print("[1, 2]")
""",
}


@dataclass
class Project:
    """A folder of the project's layout whose benches are BENCHES."""

    root: Path

    @classmethod
    def made_in(cls, root: Path) -> Project:
        folder = root / "scripts" / "bench"
        folder.mkdir(parents=True)
        (root / "docs").mkdir()
        (folder.parent / "lab").symlink_to(ROOT / "scripts" / "lab")
        for name, text in BENCHES.items():
            (folder / f"{name}.py").write_text(text)
        return cls(root)

    def call(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """What the real runner makes of ``arguments`` here; ``options`` go to subprocess.run."""
        command = [sys.executable, str(RUNNER), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)

    def file(self, name: str) -> Path:
        """Where figures of the bench ``name`` are kept."""
        return self.root / "docs" / "measurements" / f"{name}.jsonl"

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Its kept lines."""
        return [json.loads(line) for line in self.file(name).read_text().splitlines()]

    @property
    def page(self) -> Path:
        """The page of all figures."""
        return self.root / "docs" / "benchmarks.md"
