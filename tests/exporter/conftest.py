"""Saved models of families, for whoever exports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the saved model of a case of two layers, with tokenizer and task; read-only by contract."""
    from export_lab import random_model, save_folder
    from suffix_families import config_of

    root = tmp_path_factory.mktemp("families")

    def give(case: str) -> Path:
        if not (root / case).exists():
            family, config = config_of(case)
            save_folder(root / case, random_model(config, family))
        return root / case

    return give
