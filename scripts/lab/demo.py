"""What demos share: how they talk, and how they call the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console

SEEDTUNE = str(Path(sys.executable).with_name("seedtune"))
console = Console(stderr=True)


def heading(text: str) -> None:
    """A section of a demo's output."""
    console.print(f"\n[bold]{text}[/]", highlight=False)


def command(*arguments: object) -> None:
    """Runs the command line, as a user would; stops the demo if it fails."""
    words = list(map(str, arguments))
    console.print("$ seedtune " + " ".join(words), style="dim", highlight=False, soft_wrap=True)
    done = subprocess.run([SEEDTUNE, *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)
