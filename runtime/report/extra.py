"""The optional libraries of the report, imported when a page is made and not before.

Everything else of ``seedtune.runtime`` works without them, so a missing one is a user's choice and gets a
remedy.
"""

from __future__ import annotations

import importlib
from typing import Any

from seedtune.runtime.errors import SeedTuneError


def import_extra(name: str, extra: str = "report") -> Any:
    """The module ``name``, such as ``plotly.graph_objects``, which ``extra`` brings.

    Raises:
        SeedTuneError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A library that is there but lacks a part of its own is broken, not missing.
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise SeedTuneError(
            f"the report needs {name.partition('.')[0]}, which is not installed",
            remedy=f'pip install "seedtune[{extra}]"',
        ) from error
