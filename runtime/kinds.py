"""Parts that come in kinds: from flat settings to the one kind that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from seedtune.runtime.errors import SeedTuneError

Kind = TypeVar("Kind", bound=msgspec.Struct)


def part_of(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    """What flat ``settings`` say of ``part``: ``optimizer.kind`` becomes ``kind``."""
    prefix = part + "."
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}


def kind_of(settings: Mapping[str, Any], part: str, kinds: Sequence[type[Kind]]) -> Kind:
    """The kind of ``part`` that flat ``settings`` name, with its own settings.

    Raises:
        SeedTuneError: this version knows no such kind, or not these settings of it.
    """
    own = part_of(settings, part)
    by_name = {str(kind.__struct_config__.tag): kind for kind in kinds}
    chosen = by_name.get(str(own.get("kind")))
    if chosen is None:
        raise SeedTuneError(
            f"this version knows no such {part}",
            value=own.get("kind"),
            rule=" or ".join(by_name),
            remedy="upgrade seedtune",
        )
    try:
        return msgspec.convert(own, chosen)
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            f"the settings of the {part} cannot be used ({error})",
            value=own,
            rule=f"those of {chosen.__struct_config__.tag}: {', '.join(chosen.__struct_fields__)}",
            remedy="upgrade seedtune",
        ) from error
