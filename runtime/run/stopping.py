"""When a run ends before its last step: held-out loss has not fallen for a while, or its time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import EvaluationRecord

# Evaluations without a new best, with a budget. A guess, of the twenty that such a run makes at most: while the rate is
# large the loss goes up and down, and it often falls only when the rate does.
PATIENCE = 8

EndedBy = Literal["steps", "patience", "budget", "choice", "interruption"]


@dataclass(frozen=True)
class Stopping:
    """What ends a run early; ``patience`` 0 and ``budget_seconds`` None for nothing.

    ``no_step`` is whether trials found no step worth making.
    """

    patience: int = 0
    budget_seconds: float | None = None
    no_step: bool = False

    def ended_by(
        self, done: int, steps: int, evaluations: Sequence[EvaluationRecord], elapsed_seconds: float
    ) -> EndedBy | None:
        """What ends a run behind ``done`` of ``steps`` steps; None for going on. The rest as of :meth:`reason`."""
        if self.no_step:
            return "choice"
        return "steps" if done >= steps else self.reason(evaluations, elapsed_seconds)

    def reason(self, evaluations: Sequence[EvaluationRecord], elapsed_seconds: float) -> EndedBy | None:
        """Why the run should end now; None for going on.

        Args:
            evaluations: of the held-out rows so far.
            elapsed_seconds: since the run began.
        """
        if self.patience and since_best(evaluations) >= self.patience:
            return "patience"
        # One more evaluation ends the run.
        reserve = evaluations[-1].seconds if evaluations else 0.0
        if self.budget_seconds is not None and elapsed_seconds + reserve >= self.budget_seconds:
            return "budget"
        return None


def since_best(evaluations: Sequence[EvaluationRecord]) -> int:
    """How many evaluations behind a step there were since the last new best one."""
    count = 0
    for record in reversed(evaluations):
        if record.best or not record.step:
            break
        count += 1
    return count


def checked_patience(patience: int | None, budget_seconds: float | None, *, held_out: bool) -> int:
    """The patience of a run: what was given, or :data:`PATIENCE` with a budget, or 0, which never ends it.

    Raises:
        SeedTuneError: it is no such number, or there are no held-out rows to be patient about.
    """
    if patience is None:
        return PATIENCE if budget_seconds is not None and held_out else 0
    if type(patience) is not int or patience < 0:
        raise SeedTuneError(
            "--patience is out of range",
            value=patience,
            rule="an integer >= 0, of evaluations; 0 never ends a run early",
            remedy="choose another --patience",
        )
    if patience and not held_out:
        raise SeedTuneError(
            "--patience waits for held-out loss to fall, and there are no held-out rows",
            value=f"--patience {patience}",
            rule="held-out rows",
            remedy="give some with --eval, have some split off with --held-out-rows, or leave --patience out",
        )
    return patience
