"""Libraries of the package's extras, imported when they are needed and not before.

Everything else of ``seedtune.runtime`` works without them, so a missing one is a user's choice and gets a remedy.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
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


@contextlib.contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Around imports from the exporter, whose packages ``extra`` brings.

    Args:
        extra: of this package.
        purpose: what needs it, with its verb, for the message: "exporting needs".

    Raises:
        SeedTuneError: one of its packages is not installed; a module of ours that is missing is passed on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("seedtune"):
            raise
        raise SeedTuneError(
            f"{purpose} packages that this installation does not have",
            value=error.name,
            rule=f"the extra named {extra}",
            remedy=f'pip install "seedtune[{extra}]"',
        ) from error
