"""Programs from the Python package index that the laboratory calls, in a folder of their own: no part of `.venv`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# A C compiler for both kinds of processor; a reader of libraries; from Android's bytecode to the JVM's.
PACKAGES = ("ziglang", "pyelftools", "enjarify-adapter")


class ToolError(Exception):
    """A tool cannot be had, or failed; the message has what it said."""


def install(folder: Path) -> Path:
    """The folder with the packages, at the versions of `constraints.txt`; fetched when they changed.

    Raises:
        ToolError: they cannot be fetched.
    """
    constraints = (ROOT / "constraints.txt").read_text()
    wanted = re.findall(rf"^(?:{'|'.join(PACKAGES)})==.*$", constraints, re.MULTILINE)
    stamp = folder / "complete"
    if stamp.is_file() and stamp.read_text() == "\n".join(wanted):
        return folder
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    call([*command, "--target", folder, *wanted])
    stamp.write_text("\n".join(wanted))
    return folder


def run_python(tools: Path, *arguments: object) -> str:
    """What Python prints when it is called with ``arguments`` and the packages in its path.

    Raises:
        ToolError: it failed.
    """
    return call([sys.executable, *arguments], PYTHONPATH=str(tools))


def call(command: list[object], **environment: str) -> str:
    """Standard output of a command.

    Raises:
        ToolError: it failed, or is not there.
    """
    words = list(map(str, command))
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)
    except FileNotFoundError as error:
        raise ToolError(f"{words[0]} is not installed") from error
    if done.returncode:
        raise ToolError(f"{' '.join(words[:4])} ... failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
