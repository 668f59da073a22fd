"""Puts the exporter's shared test helpers on the path: pytest's importlib mode does not."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "exporter_support"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tensors of 32 features are slower with more."""
    torch.set_num_threads(1)
