"""Modules of this folder in processes of their own, so that their memory does not stay and nothing is shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1]


def module_environment(scripts: Path = SCRIPTS) -> dict[str, str]:
    """The environment of a process that finds the packages of ``scripts``, this folder's by default."""
    return os.environ | {"PYTHONPATH": str(scripts)}


def run_module(name: str, *arguments: object) -> None:
    """Runs ``python -m name arguments`` to its end.

    Raises:
        subprocess.CalledProcessError: it failed, and said why.
    """
    subprocess.run([sys.executable, "-m", name, *map(str, arguments)], check=True, env=module_environment())
