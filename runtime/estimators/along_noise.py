"""What the settings of all estimators that measure along noise have in common."""

from __future__ import annotations

from typing import Literal

import msgspec

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import PROBE
from seedtune.runtime.estimators.protocol import Directions, Epsilon


class AlongNoise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one of them: the journal records seeds, coefficients and losses, from which the state follows."""

    @property
    def record(self) -> Literal["probe"]:
        """What the journal records of a step."""
        return "probe"

    @property
    def graph(self) -> str:
        """The graph whose place in memory a step takes."""
        return PROBE

    @property
    def vectors(self) -> int:
        """As long as the state, that a step takes: none."""
        return 0

    def require_graph(self, bundle: Bundle) -> None:
        """Every ``bundle`` has a probe graph."""


class AlongDirections(AlongNoise, frozen=True, forbid_unknown_fields=True):
    """Settings of one that measures along several directions a step; how many is its own to say."""

    epsilon: Epsilon = 1e-2
    directions: Directions = 8

    @property
    def probes(self) -> int:
        """K, the seeds of a step."""
        return self.directions
