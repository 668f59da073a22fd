"""`seedtune.open`, and the model that it gives: asked as any `runtime.model.model.Model`, and tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedtune.runtime.durations import duration_seconds
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model import model
from seedtune.runtime.model.feeders import cache_options
from seedtune.runtime.model.tuned import open_tuned
from seedtune.runtime.run.request import Request
from seedtune.runtime.run.tuning import Tuning
from seedtune.runtime.sizes import size_bytes
from seedtune.runtime.telemetry.events import Event, Finished
from seedtune.runtime.telemetry.records import JOURNAL_FILE


def open(
    path: str | Path,
    *,
    bundle: str | Path | None = None,
    step: int | None = None,
    state: str | Path | None = None,
    memory_limit: int | str | None = None,
    threads: int | None = None,
) -> Model:
    """Opens and verifies a bundle (the untouched model) or a RUN folder (its best state).

    Args:
        path: either folder.
        bundle: where the run's bundle is now, if it was moved.
        step: the state after that many steps instead of the best; for a RUN folder only.
        state: a file with the state, as ``seedtune replay`` writes it; for a bundle only.
        memory_limit: bytes that the process may hold in all, such as 256_000_000 or "256M": weights are then streamed
            from the bundle. None for no limit.
        threads: of ONNX Runtime; None for all processors.

    Raises:
        SeedTuneError: no such folder, a file that is damaged, or a step that the run has not.
    """
    moved, given = (None if place is None else Path(place) for place in (bundle, state))
    tuned = open_tuned(Path(path), bundle=moved, step=step, state=given)
    limit = None if memory_limit is None else size_bytes(memory_limit, "--memory-limit")
    return Model(tuned, threads=threads, memory_limit_bytes=limit)


class Model(model.Model):
    """A bundle at work; see :func:`open`."""

    def tune(
        self,
        train: str | Path | None = None,
        held_out: str | Path | None = None,
        *,
        out: str | Path,
        data_format: str | None = None,
        held_out_rows: int | None = None,
        budget: float | str | None = None,
        patience: int | None = None,
        resume: bool = False,
        cache: str | Path | None = None,
        cache_limit: int | str | None = None,
        **settings: Any,
    ) -> ModelTuning:
        """Tunes the model on the rows of ``train``, one event after another; the RUN folder ``out`` keeps everything.

        At its end the model has the best state: that with the lowest loss on held-out rows (the untouched model and the
        linear probe count), or the last one.
        Leaving the loop ends the run cleanly after the last step; so does ``stop()`` of what this returns.

        Args:
            train: a file of labelled rows, or a pipe ("-" for standard input); a resumed run may leave it out.
            held_out: a file of labelled rows to evaluate on while tuning.
            held_out_rows: how many training rows are held out where ``held_out`` is None; None for a fifth, at most 256
                and not fewer than 20; 0 for none.
            budget: seconds that the run may take in all, or a duration such as "10m" or "1h30m": what ``settings``
                leave out is then chosen by short trials. None for any time.
            patience: evaluations without less loss on held-out rows after which the run ends; 0 for never. None for 8
                with a budget, and never without one.
            data_format: of both: jsonl, csv, tsv or parquet; None for what their endings say.
            out: the RUN folder, new or empty.
            resume: go on with the run that ``out`` holds; one begins if it holds none and ``train`` is given.
            cache: folder of context caches (scope "suffix"); the RUN folder if not given.
            cache_limit: bytes of each cache; rows beyond it are computed at each use.
            settings: as on the command line: ``steps``, ``learning_rate``, ``optimizer``, ...

        Raises:
            SeedTuneError: anything the user can put right, when the first event is asked for, or later.
        """
        if not self._tuned.untouched:
            raise SeedTuneError(
                "a run starts from a bundle, and this model was tuned before",
                value=f"{self.step} steps",
                remedy="open the bundle, or go on with the run: open its bundle and give resume=True",
            )
        request = Request(
            bundle=self.bundle,
            out=Path(out),
            train=None if train is None else Path(train),
            held_out=None if held_out is None else Path(held_out),
            held_out_rows=held_out_rows,
            data_format=data_format,
            resume=resume,
            options=settings,
            budget_seconds=None if budget is None else duration_seconds(budget, "--budget"),
            patience=patience,
            threads=self.threads,
            cache=cache_options(cache, cache_limit),
            memory_limit_bytes=self.memory_limit_bytes,
        )
        # What answers questions would take memory that the run is to have.
        self.close()
        return ModelTuning(self, request)

    def _take(self, run: Path) -> None:
        if not (run / JOURNAL_FILE).exists():
            # Stopped in its trials: nothing was tuned.
            return
        self._tuned = open_tuned(run, bundle=self.bundle.path)
        self.close()


class ModelTuning(Tuning):
    """The events of a run; at its end the model has the best state."""

    def __init__(self, tuned: Model, request: Request) -> None:
        super().__init__(request)
        self._model = tuned

    def __next__(self) -> Event:
        event = super().__next__()
        if isinstance(event, Finished):
            self._model._take(self.request.out)
        return event
