"""Whether what is to be resumed is the run that was begun, and where it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import estimate_from
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.model.splits import Split
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import RunDescription


def require_same_run(
    description: RunDescription,
    bundle: Bundle,
    settings: Settings,
    train: Split,
    held_out: Split | None,
    folder: Path,
) -> None:
    """Raises SeedTuneError when a resumed run would not be the run that was begun."""
    recorded_eval = description.data.eval
    pairs: list[tuple[str, object, object]] = [
        ("bundle", description.bundle_sha256, bundle.sha256),
        ("training data", description.data.train.sha256, train.sha256),
        ("evaluation data", recorded_eval and recorded_eval.sha256, held_out and held_out.sha256),
        *((f"setting {name}", description.settings.get(name), value) for name, value in settings.as_dict().items()),
    ]
    for name, recorded, given in pairs:
        if recorded != given:
            raise SeedTuneError(
                f"this run was begun with another {name}",
                file=folder,
                value=given,
                rule=f"the same as at the start: {recorded!r}",
                remedy="resume with what it was begun with (leave the option out), or start a new run",
            )


def catch_up(optimizer: Normalised, journal: Journal, epsilon: float, folder: Path) -> None:
    """Shows ``optimizer`` the recorded steps and checks that it would take them again.

    Raises:
        SeedTuneError: a recorded coefficient is not what the settings lead to.
    """
    for step, record in enumerate(journal.records):
        estimate = estimate_from(float(record["loss_plus"]), float(record["loss_minus"]), epsilon)
        expected = np.float32(optimizer.coefficient(step, estimate.projected_gradient))
        if expected != record["coefficient"]:
            raise SeedTuneError(
                f"step {step + 1} of the journal was not taken by these settings",
                file=folder,
                value=float(record["coefficient"]),
                rule=f"coefficient {expected!r}",
                remedy="resume with the version of seedtune that began the run, or start a new run",
            )
