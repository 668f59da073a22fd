"""What was asked for of the reach: at which tokens and in which layers the state acts."""

from __future__ import annotations

from dataclasses import dataclass

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Scope


@dataclass(frozen=True)
class Reach:
    """Tokens times layers, as the user named them.

    Attributes:
        scope: the tokens; None for what task and model allow.
        layers: how many, counted from the top; None for all.
        context_on_host: whether what lies below is to be left to the desk.

    Raises:
        SeedTuneError: layers are named where the state acts at every token, or nothing lies below the reach.
    """

    scope: Scope | None = None
    layers: int | None = None
    context_on_host: bool = False

    def __post_init__(self) -> None:
        if self.context_on_host and (self.layers is None or self.scope == "all"):
            raise self.nothing_to_leave()
        if self.layers is not None and self.scope == "all":
            raise SeedTuneError(
                "with scope all nothing of a row is kept, so there is nothing to gain in fewer layers",
                value=f"--layers {self.layers}",
                rule="--layers with scope suffix or last",
                remedy="leave --layers out, or use --scope last",
            )

    def nothing_to_leave(self) -> SeedTuneError:
        """What is said where every weight of the model is in reach of the state."""
        layers = "all layers" if self.layers is None else f"--layers {self.layers}"
        return SeedTuneError(
            "there is nothing that only contexts are computed with, so nothing could be left to the desk",
            value=f"--context-on-host with scope {self.scope or 'of the task'} and {layers}",
            rule="--context-on-host with scope suffix or last, and fewer --layers than the model has",
            remedy="leave --context-on-host out, or use --scope last and --layers of the model's top third",
        )

    def first_layer(self, count: int | None) -> int:
        """The place of the first layer with state among ``count``, from 0; None for a model that does not count them.

        Raises:
            SeedTuneError: there are fewer layers, or none was asked for.
        """
        if self.layers is None:
            return 0
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
                remedy=f"use --layers {-(-count // 3)} for its top third, or leave it out for all",
            )
        return count - self.layers
