"""Ways to spoil a bundle, and what is said of it then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError


def edit(bundle: Path, change: Callable[[dict], object]) -> None:
    """Lets ``change`` edit the manifest in place."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def refused(bundle: Path) -> str:
    with pytest.raises(SeedTuneError) as caught:
        Bundle.open(bundle)
    return str(caught.value)
