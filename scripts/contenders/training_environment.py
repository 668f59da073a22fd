"""The virtual environment of onnxruntime-training, which cannot share one with onnxruntime: made on first use.

1.19.2 is the last release there is. Its wheels end with Python 3.11.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from contenders.turns import last_words
from lab.module_process import module_environment

PACKAGES = ("onnxruntime-training==1.19.2", "onnx==1.16.2", "numpy==1.26.4")
PYTHON = "3.11"
STAMP = "seedtune-complete"


class UnavailableError(RuntimeError):
    """The environment cannot be made, or cannot do the model; the message says why."""


def training_python(folder: Path) -> str:
    """The interpreter of the environment in ``folder``.

    Raises:
        UnavailableError: no Python 3.11, no network, or no wheel for this machine.
    """
    python = folder / "bin" / "python"
    if (folder / STAMP).exists():
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is not None:
        _run([uv, "venv", "--quiet", "--python", PYTHON, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES])
    else:
        own = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which(f"python{PYTHON}")
        if own is None:
            raise UnavailableError(f"needs Python {PYTHON}, the last that {PACKAGES[0]} has wheels for")
        _run([own, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES])
    (folder / STAMP).touch()
    return str(python)


def make_artifacts(python: str, folder: Path) -> None:
    """Gradient and optimizer graphs of ``folder/trainable.onnx``, by `training_artifacts.py`.

    Raises:
        UnavailableError: with the last line that the tools said.
    """
    _run([python, "-m", "contenders.training_artifacts", str(folder)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=module_environment())
    if done.returncode:
        raise UnavailableError(last_words(done.stderr) or f"{command[0]} ended with exit code {done.returncode}")
