"""What was asked for of the reach: at which tokens and in which layers the state acts."""

from __future__ import annotations

from dataclasses import dataclass

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Scope


@dataclass(frozen=True)
class Reach:
    """Tokens times layers, as the user named them.

    Where neither is named, the state of a classifier acts at the last token in the top half of the layers, as far as
    the model allows it: first-order tuning within that reach was level with tuning every layer at every token on three
    tasks (docs/guides/accuracy.md), at a fraction of the cost of a step.

    Attributes:
        scope: the tokens; None for the last one, or for the response of a completion task.
        layers: how many, counted from the top; None for all, or for the default.
        context_on_host: whether what lies below is to be left to the desk.

    Raises:
        SeedTuneError: layers are named where the state acts at every token, or nothing lies below the reach.
    """

    scope: Scope | None = None
    layers: int | None = None
    context_on_host: bool = False

    def __post_init__(self) -> None:
        all_layers = self.scope == "all" or (self.scope is not None and self.layers is None)
        if self.context_on_host and all_layers:
            raise self.nothing_to_leave()
        if self.layers is not None and self.scope == "all":
            raise SeedTuneError(
                "with scope all nothing of a row is kept, so there is nothing to gain in fewer layers",
                value=f"--layers {self.layers}",
                rule="--layers with scope suffix or last",
                remedy="leave --layers out, or use --scope last",
            )

    @property
    def left_open(self) -> bool:
        """Whether neither tokens nor layers are named."""
        return self.scope is None and self.layers is None

    def tokens(self, completes: bool) -> Scope:
        """The tokens that were named, or the default of a completion task or of a classifier."""
        return self.scope or ("suffix" if completes else "last")

    def nothing_to_leave(self) -> SeedTuneError:
        """What is said where every weight of the model is in reach of the state."""
        layers = "all layers" if self.layers is None else f"--layers {self.layers}"
        return SeedTuneError(
            "there is nothing that only contexts are computed with, so nothing could be left to the desk",
            value=f"--context-on-host with scope {self.scope or 'of the task'} and {layers}",
            rule="--context-on-host with scope suffix or last, and fewer --layers than the model has",
            remedy="leave --context-on-host out, or use --scope last and --layers of the model's top half",
        )

    def first_layers(self, count: int | None, completes: bool) -> tuple[int, ...]:
        """The places that the first layer with state may have, from 0, the one to try first at the front.

        Args:
            count: layers of the model; None if it does not count them.
            completes: whether the task is one of completion.

        Raises:
            SeedTuneError: there are fewer layers, or none was asked for.
        """
        if self.layers is None:
            lower = count // 2 if count and self.left_open and not completes else 0
            return (lower, 0) if lower else (0,)
        if count is None:
            raise SeedTuneError(
                "the model does not say how many layers it has",
                value=f"--layers {self.layers}",
                rule="num_hidden_layers in its configuration",
                remedy="leave --layers out",
            )
        if not 1 <= self.layers <= count:
            raise SeedTuneError(
                "the model has not so many layers" if self.layers > count else "a state needs a layer to act in",
                value=f"--layers {self.layers}",
                rule=f"1 to {count}, the layers of this model",
                remedy=f"use --layers {-(-count // 2)} for its top half, or leave it out for all",
            )
        return (count - self.layers,)
