"""The best state behind a step beside the start of a run, row by row: ``held_out_losses.json``, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.objectives import Objective, row_values
from seedtune.runtime.files import write_durably
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.paired import Difference, finite_or_none, paired_difference
from seedtune.runtime.telemetry.gain import Gain, HeldOutLosses
from seedtune.runtime.telemetry.run_files import read_json


@dataclass(frozen=True)
class Gained:
    """``difference`` from the start, of what is lowered: ``objective``, whose value was ``start``."""

    objective: Objective
    start: float
    difference: Difference


class BesideStart:
    """What the start of a run said of each held-out row, and what its best state behind a step did.

    Args:
        path: of the file, which is there if the run is resumed; a run that was begun by an earlier version has none.
        rows: that are held out.
        objective: what the run lowers.

    Raises:
        SeedTuneError: the file is not of these rows.
    """

    def __init__(self, path: Path, rows: int, objective: Objective) -> None:
        self._path = path
        self._objective = objective
        self._losses = _read(path, rows) if path.exists() else None

    @property
    def start_losses(self) -> npt.NDArray[np.float64]:
        """The loss of each row at the start, [N]; it has been noted."""
        assert self._losses is not None
        return np.array(self._losses.start, np.float64)

    def gained(self, evaluation: Evaluation, places: npt.NDArray[np.int64]) -> Gained:
        """What ``evaluation`` of the rows at ``places`` is better by than the start, in what the run lowers.

        A run that was begun by an earlier version may not know what its start said of each row: then it is the loss.
        """
        predictions, probabilities = evaluation.predictions, evaluation.probabilities
        said = self._losses.start_predictions if self._losses else None
        if self._objective == "loss" or said is None or predictions is None or probabilities is None:
            before = self.start_losses[places]
            return Gained("loss", float(before.mean()), paired_difference(before, evaluation.losses))
        before, after = (
            row_values(self._objective, each, evaluation.labels, probabilities.shape[1])
            for each in (np.array(said, np.int64)[places], predictions)
        )
        return Gained(self._objective, float(before.mean()), paired_difference(before, after))

    def note_start(self, evaluation: Evaluation) -> None:
        """Keeps what the start of the run came to."""
        said = None if self._objective == "loss" else evaluation.predictions
        self._losses = HeldOutLosses(
            start=_losses(evaluation), start_predictions=None if said is None else said.tolist()
        )
        self._write()

    def note_best(self, step: int, evaluation: Evaluation) -> None:
        """Keeps what ``step`` came to, which is the best so far; nothing where the start is not known."""
        if self._losses is None:
            return
        compared = None
        if self._losses.start_predictions is not None and evaluation.probabilities is not None:
            compared = self.gained(evaluation, np.arange(len(evaluation.losses)))
        self._losses = msgspec.structs.replace(
            self._losses,
            tuned=_losses(evaluation),
            tuned_step=step,
            objective_gain=None if compared is None else compared.difference.mean,
            objective_half_width=None if compared is None else finite_or_none(compared.difference.half_width),
        )
        self._write()

    def gain(self, over: str) -> Gain | None:
        """Of the best state behind a step ``over`` the start of the run; None where there is none."""
        losses = self._losses
        if losses is None or losses.tuned is None:
            return None
        by_loss = paired_difference(self.start_losses, np.array(losses.tuned, np.float64))
        gain, half_width = losses.objective_gain, losses.objective_half_width
        if gain is None:
            return Gain(
                over=over, loss=by_loss.mean, half_width=finite_or_none(by_loss.half_width), is_gain=by_loss.is_gain
            )
        return Gain(
            over=over,
            loss=by_loss.mean,
            objective=self._objective,
            objective_gain=gain,
            half_width=half_width,
            is_gain=half_width is not None and gain > half_width,
        )

    def _write(self) -> None:
        write_durably(self._path, msgspec.json.encode(self._losses) + b"\n")


def _losses(evaluation: Evaluation) -> list[float | None]:
    return [float(loss) for loss in evaluation.losses]


def _read(path: Path, rows: int) -> HeldOutLosses:
    found = read_json(path, HeldOutLosses)
    lengths = {len(found.start), len(found.start if found.tuned is None else found.tuned)}
    if lengths != {rows}:
        raise SeedTuneError(
            "the losses are not those of the held-out rows",
            file=path,
            value=f"{sorted(lengths)} losses",
            rule=f"{rows} rows",
            remedy="restore the folder from a copy, or start a new run",
        )
    return found
