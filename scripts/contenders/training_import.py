"""Imports onnxruntime-training 1.19.2 without torch.

``import onnxruntime.training`` runs an ``__init__`` that needs torch for parts that are not used here (ORTModule, fp16
optimizers). An empty package in its place leaves the two that are: ``artifacts`` and ``api``. This also spares the
contender torch's memory.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def import_training() -> None:
    """Makes ``onnxruntime.training.artifacts`` and ``onnxruntime.training.api`` importable.

    Raises:
        ModuleNotFoundError: onnxruntime-training is not installed.
    """
    found = importlib.util.find_spec("onnxruntime")
    folders = [Path(place) / "training" for place in (found.submodule_search_locations or [])] if found else []
    if not folders or not folders[0].is_dir():
        raise ModuleNotFoundError("onnxruntime-training is not installed here")
    package = types.ModuleType("onnxruntime.training")
    package.__path__ = [str(folders[0])]
    sys.modules["onnxruntime.training"] = package
