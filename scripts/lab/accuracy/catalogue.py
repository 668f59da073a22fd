"""The methods of the bench by name, in the order of the tables."""

from __future__ import annotations

from lab.accuracy.first_order import Everywhere, Inside
from lab.accuracy.method import Method
from lab.accuracy.mezo import Mezo
from lab.accuracy.probes import LinearProbe
from lab.accuracy.seedtune_run import SeedTuneRun
from lab.accuracy.zero_shot import ZeroShot
from seedtune.runtime.errors import SeedTuneError

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        ZeroShot(),
        ZeroShot(calibrated=True),
        LinearProbe(),
        LinearProbe(parts=6),
        Everywhere(),
        Inside(5),
        Inside(10),
        Inside(15),
        Inside(20),
        Inside(30),
        Inside(10, suffix=True),
        Inside(30, suffix=True),
        Inside(10, fixed_a=True),
        Mezo(),
        SeedTuneRun("last", 5),
        SeedTuneRun("last", 10),
        SeedTuneRun("last", 15),
        SeedTuneRun("suffix", 10),
        SeedTuneRun("last", 10, "gradient"),
        SeedTuneRun("last", 15, "gradient"),
        SeedTuneRun("last", 15, "gradient", "linear-probe"),
    )
}
EVERYWHERE = Everywhere().name


def methods(names: list[str]) -> list[Method]:
    """The methods called ``names``, or all.

    Raises:
        SeedTuneError: there is none of that name.
    """
    for name in names:
        if name not in METHODS:
            raise SeedTuneError("there is no such method", value=name, rule="; ".join(METHODS))
    return [METHODS[name] for name in names or METHODS]


def entering_layers(layers: int) -> tuple[int, ...]:
    """The first layers of all reaches in METHODS that a model with so many layers has."""
    reaches = {method.layers for method in METHODS.values() if isinstance(method, Inside)}
    return tuple(sorted(layers - reach for reach in reaches if reach <= layers))
