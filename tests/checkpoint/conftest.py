"""Fixtures over :mod:`tiny_models`: saved once a session, copied where a test spoils them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import make_model, save_folder


def pytest_configure(config: pytest.Config) -> None:
    """Names the one marker of this folder: deselect it with ``-m "not package_index"``."""
    config.addinivalue_line("markers", "package_index: fetches a wheel through pip unless the cache has it")


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the session's safetensors folder of a model; read-only by contract."""
    root = tmp_path_factory.mktemp("models")

    def give(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else save_folder(folder, make_model(name))

    return give


@pytest.fixture
def spoilt(saved: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Gives a copy of a model's folder that a test may damage."""

    def give(name: str) -> Path:
        return Path(shutil.copytree(saved(name), tmp_path / name))

    return give
