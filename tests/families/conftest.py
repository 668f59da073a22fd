"""Tiny models run in one thread."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tensors of 32 features are slower with more."""
    torch.set_num_threads(1)
