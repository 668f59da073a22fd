"""The FEATURES folder: arrays in features.npz, and in features.json what they are and how they were made."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.files import write_durably
from seedtune.runtime.recipes.records import DESCRIPTION_FILE, FEATURES_FILE, FORMAT_VERSION

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "onnxruntime")


def write_features(
    folder: Path,
    recipe: str,
    arrays: Mapping[str, npt.NDArray[Any]],
    *,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    hashes: Mapping[str, str],
    figures: Mapping[str, Any],
) -> None:
    """Writes both files into ``folder``, which is there.

    Args:
        folder: to write into.
        recipe: its name.
        arrays: name -> array; which there are says docs/guides/recipes.md.
        settings: of the recipe.
        data: what was read, by name.
        hashes: file -> SHA-256.
        figures: what was measured.

    Raises:
        SeedTuneError: a file cannot be written.
    """
    for name, array in arrays.items():
        # Whoever reads these files trusts no pickle.
        assert array.dtype in (np.float32, np.int64), (name, array.dtype)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    write_durably(folder / FEATURES_FILE, packed.getvalue())
    described = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe,
        "settings": dict(settings),
        "data": dict(data) | {"sha256": dict(hashes)},
        "figures": dict(figures),
        "versions": versions(),
    }
    text = json.dumps(described, indent=1, allow_nan=False)
    write_durably(folder / DESCRIPTION_FILE, f"{text}\n".encode())


def versions() -> dict[str, str]:
    """Of everything that the arrays depend on."""
    own = {"seedtune": metadata.version("seedtune"), "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in LIBRARIES}
