"""Libraries of the package's extras, imported when they are needed and not before.

Everything else of ``seedtune.runtime`` works without them, so a missing one is a user's choice and gets a remedy.
"""

from __future__ import annotations

import importlib
from typing import Any

from seedtune.runtime.errors import SeedTuneError


def import_extra(name: str, extra: str, purpose: str) -> Any:
    """The module ``name``, such as ``plotly.graph_objects``.

    Args:
        name: of the module.
        extra: of this package, which brings it.
        purpose: what needs it, for the message.

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
            f"{purpose} needs {name.partition('.')[0]}, which is not installed",
            rule=f"the extra named {extra}",
            remedy=f'pip install "seedtune[{extra}]"',
        ) from error
