"""Classifiers of digits, and scans of them; made once, read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scan_lab import TEST_FROM, digits, layers_of, write_classifier

import seedtune
from seedtune.events import ScanFinished


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``layers`` of a net, its file ``classifier``, and test ``images`` as an .npz."""
    folder = tmp_path_factory.mktemp("scan")
    images, labels = digits()
    np.savez(folder / "test.npz", images=images[TEST_FROM:], labels=labels[TEST_FROM:])
    layers = layers_of("net")
    return SimpleNamespace(
        folder=folder,
        layers=layers,
        classifier=write_classifier(folder / "net.onnx", layers),
        images=folder / "test.npz",
        values=images[TEST_FROM:].reshape(-1, 64).astype(np.float32) / np.float32(255),
        labels=labels[TEST_FROM:],
    )


@pytest.fixture(scope="session")
def scan_of(lab: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SimpleNamespace]:
    """``scan_of(classifier, **options)``: a SCAN folder as ``path``, and its ``result``."""

    def give(classifier: Path | None = None, **options: object) -> SimpleNamespace:
        path = tmp_path_factory.mktemp("scans") / "scan"
        given = {"images": lab.images, "queries": 60, "threads": 1} | options
        *_, last = seedtune.scan(classifier or lab.classifier, out=path, **given)  # type: ignore[arg-type]
        assert isinstance(last, ScanFinished)
        return SimpleNamespace(path=path, result=last.result)

    return give


@pytest.fixture(scope="session")
def whole(scan_of: Callable[..., SimpleNamespace]) -> SimpleNamespace:
    """A scan with spt."""
    return scan_of(seed=3)
