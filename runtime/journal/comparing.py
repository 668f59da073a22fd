"""Two journals beside each other: where they part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from seedtune.runtime.journal.format import Journal


@dataclass(frozen=True)
class Difference:
    """What tells two journals apart.

    Attributes:
        fields: name of a field of the header, settings as ``settings.NAME`` -> its value in each; None where it is not.
        first_step: the first step (from 1) that is not the same in both; None where one begins as the other ends.
        steps: of each.
    """

    fields: dict[str, tuple[Any, Any]]
    first_step: int | None
    steps: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether there is none."""
        return not self.fields and self.first_step is None and self.steps[0] == self.steps[1]


def difference(one: Journal, other: Journal) -> Difference:
    """What tells the two apart; torn steps do not count."""
    flat = [_flat(journal) for journal in (one, other)]
    names = sorted({*flat[0], *flat[1]})
    fields = {name: (flat[0].get(name), flat[1].get(name)) for name in names if flat[0].get(name) != flat[1].get(name)}
    return Difference(fields, _first_step(one, other), (one.steps, other.steps))


def _flat(journal: Journal) -> dict[str, Any]:
    header = msgspec.structs.asdict(journal.header)
    settings = header.pop("settings")
    return header | {f"settings.{name}": value for name, value in settings.items()}


def _first_step(one: Journal, other: Journal) -> int | None:
    if one.records.dtype != other.records.dtype or one.header.records_per_step != other.header.records_per_step:
        return 1 if min(one.steps, other.steps) else None
    # Without checksums, which also follow from the header.
    names = [name for name in one.records.dtype.names or () if name != "checksum"]
    for step in range(min(one.steps, other.steps)):
        pair = [journal.of_step(step)[names].tolist() for journal in (one, other)]
        if pair[0] != pair[1] and repr(pair[0]) != repr(pair[1]):
            return step + 1
    return None
