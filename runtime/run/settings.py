"""What a run is made of, apart from its bundle and data. Defaults are measured: docs/log/2026-11-23.md, "Defaults".

Every option is said once, here and in the settings of estimators and optimizers: its type, its bounds, its default and
its description. The command line, its help, the reference and the file of ``--config`` are made from that
(`run/options.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.gauss_newton import GaussNewtonSettings
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.estimators.objectives import Objective
from seedtune.runtime.estimators.one_sided import OneSidedSettings
from seedtune.runtime.estimators.settings import EstimatorSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.kinds import part_of
from seedtune.runtime.model.model import ROWS_PER_CALL
from seedtune.runtime.optimizers.adamw import AdamWSettings
from seedtune.runtime.optimizers.damped import DampedSettings
from seedtune.runtime.optimizers.momentum import MomentumSettings
from seedtune.runtime.optimizers.normalised import NormalisedSettings
from seedtune.runtime.optimizers.settings import OptimizerSettings
from seedtune.runtime.optimizers.standardised import StandardisedSettings
from seedtune.runtime.run.options import PARTS, check, chosen, plain_name, word_of

MAX_SEED = 2**32 - 1
# Examples a step with scope "all", where each costs so much time that more do not pay.
BATCH_SIZE_OF_WHOLE_ROWS = 32
# Estimator -> the optimizers that its measurements are for, the default first.
FITTING: dict[type[EstimatorSettings], tuple[type[OptimizerSettings], ...]] = {
    TwoSidedSettings: (NormalisedSettings, MomentumSettings),
    GaussNewtonSettings: (DampedSettings,),
    OneSidedSettings: (StandardisedSettings, NormalisedSettings, MomentumSettings),
    GradientSettings: (AdamWSettings,),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a run; ``batch_size`` is above 0 in a run that has begun."""

    steps: Annotated[int, Meta(ge=1, description="Updates to make.")] = 300
    batch_size: Annotated[
        int,
        Meta(ge=0, description="Examples a step; 0 for a short measurement with scope suffix, and 32 with scope all."),
    ] = 0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="Everything random follows from it; 32 bits.")] = 0
    eval_every: Annotated[int, Meta(ge=1, description="Steps between evaluations of the held-out rows.")] = 50
    rows_per_call: Annotated[
        int,
        Meta(ge=1, description="Token rows of a call of the probe graph, both sides and padding; bounds memory."),
    ] = ROWS_PER_CALL
    start: Annotated[
        Literal["linear-probe", "zero"],
        Meta(
            description="Where the first step starts: a linear probe of the frozen hidden states, where there are two "
            "training rows of each label; or the untouched model."
        ),
    ] = "linear-probe"
    estimator: EstimatorSettings = TwoSidedSettings()
    optimizer: OptimizerSettings = NormalisedSettings()

    @property
    def tokens_per_call(self) -> int:
        """Tokens of one side that a call may have."""
        return max(1, self.rows_per_call // 2)

    @property
    def objective(self) -> Objective:
        """What the run lowers."""
        return self.estimator.objective if isinstance(self.estimator, TwoSidedSettings) else "loss"

    def check(self) -> None:
        """Raises SeedTuneError for a value that no run can have."""
        check(self)
        fitting = FITTING[type(self.estimator)]
        if not isinstance(self.optimizer, fitting):
            raise SeedTuneError(
                "this optimizer does not go with this estimator",
                value=f"--estimator {word_of(type(self.estimator))} --optimizer {word_of(type(self.optimizer))}",
                rule=f"--optimizer {' or '.join(map(word_of, fitting))}",
                remedy="leave --optimizer out",
            )

    def changed(self, options: Mapping[str, Any]) -> Settings:
        """These settings, and ``options`` instead of some of them.

        Args:
            options: as on the command line (``learning_rate``, ``optimizer``), or with the names of :meth:`as_dict`.

        Raises:
            SeedTuneError: an option that there is not, that another kind of optimizer or estimator has, or that is out
                of range.
        """
        settings = chosen(self, self._with_fitting_optimizer(options))
        settings.check()
        return settings

    def _with_fitting_optimizer(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whoever names an estimator alone gets an optimizer that goes with it."""
        named = {plain_name(name): value for name, value in options.items()}
        if "estimator" not in named or "optimizer" in named:
            return options
        kind = type(chosen(self, {"estimator": named["estimator"]}).estimator)
        if isinstance(self.optimizer, FITTING[kind]):
            return options
        return {**options, "optimizer": word_of(FITTING[kind][0])}

    def as_dict(self) -> dict[str, int | float | str]:
        """Name -> value, flat, as in run.json and the journal's header: ``steps``, ``optimizer.kind``, ..."""
        flat: dict[str, int | float | str] = {}
        for name, value in msgspec.structs.asdict(self).items():
            if name in PARTS:
                flat |= {f"{name}.{key}": of_part for key, of_part in msgspec.to_builtins(value).items()}
            else:
                flat[name] = value
        return flat


def settings_of(recorded: Mapping[str, Any]) -> Settings:
    """The settings that :meth:`Settings.as_dict` gave.

    Raises:
        SeedTuneError: they are not settings of this version.
    """
    own = {name: value for name, value in recorded.items() if "." not in name}
    try:
        settings = msgspec.convert(own | {part: part_of(recorded, part) for part in PARTS}, Settings)
        unknown = sorted(recorded.keys() - settings.as_dict().keys())
        if unknown:
            raise msgspec.ValidationError(f"there is no {unknown[0]}")
        settings.check()
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            f"the run's settings cannot be used ({error})",
            value=dict(recorded),
            rule=f"the settings {', '.join(Settings().as_dict())}",
            remedy="resume with the version of seedtune that began the run, or start a new run",
        ) from error
    return settings
