"""A run with default settings, on test rows, beside the linear probe that it starts from and the untouched model."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import seedtune
from lab.accuracy.corpora import Corpus, write_rows
from lab.accuracy.method import measured
from lab.accuracy.probes import fitted
from seedtune.events import Finished
from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.paired import Difference, paired_difference

TEST = "test"


@dataclass(frozen=True)
class Side:
    """Accuracy and mean loss (nats) on the test rows."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class AgainstProbe:
    """What a run came to.

    Attributes:
        zero_shot, linear_probe, tuned: on the test rows; ``tuned`` is what the run kept.
        logistic_regression: of the labels on the hidden state alone, in place of the run's own probe, which mixes the
            label words' scores in.
        accuracy_gain: share of rows that tuned gets right less that of the probe, paired, with its 95 % half width.
        loss_gain: loss of the probe less that of tuned, the same way.
        method: that the run took.
        stands_for: what it kept: zero-shot, linear-probe or tuned.
        steps: that it made.
        seconds: of the run.
    """

    zero_shot: Side
    logistic_regression: Side
    linear_probe: Side
    tuned: Side
    accuracy_gain: Difference
    loss_gain: Difference
    method: str
    stands_for: str
    steps: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON; ``accuracy`` is that of tuned."""
        return asdict(self) | {"accuracy": self.tuned.accuracy}


class DefaultRuns:
    """Runs on one bundle of ``corpus``, which is exported once, with one cache of contexts.

    Args:
        source: of the model.
        corpus: the task and its rows.
        folder: of everything that is made.
        threads: of ONNX Runtime.
    """

    def __init__(self, source: str, corpus: Corpus, folder: Path, threads: int | None) -> None:
        self._corpus, self._source, self._folder, self._threads = corpus, source, folder, threads
        self._cache = folder / "contexts"
        self._bundle = folder / "bundle"
        self._untouched: seedtune.Evaluation | None = None
        self._regression: Side | None = None

    def run(self, settings: Mapping[str, Any], seed: int) -> AgainstProbe:
        """One run of ``settings`` of `Model.tune`, everything else as it is by default."""
        self._export()
        files = {part: write_rows(rows, self._folder / f"{part}.jsonl") for part, rows in self._corpus.rows.items()}
        out = self._folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        with seedtune.open(self._bundle, threads=self._threads) as model:
            if self._untouched is None or self._regression is None:
                self._untouched, learnt = (
                    model.evaluate(files[part], want_hidden=True, cache=self._cache) for part in (TEST, "train")
                )
                self._regression = _regression(learnt, self._untouched)
            started = time.perf_counter()
            *_, last = model.tune(
                files["train"], files["validation"], out=out, cache=self._cache, seed=seed, **settings
            )
            seconds = time.perf_counter() - started
            assert isinstance(last, Finished)
            tuned = model.evaluate(files[TEST], cache=self._cache)
        with seedtune.open(out, bundle=self._bundle, step=0, threads=self._threads) as start:
            probe = start.evaluate(files[TEST], cache=self._cache)
        return AgainstProbe(
            _side(self._untouched),
            self._regression,
            _side(probe),
            _side(tuned),
            # Shares of what is wrong, so that a gain is above 0.
            paired_difference(1.0 - probe.correct, 1.0 - tuned.correct),
            paired_difference(probe.losses, tuned.losses),
            str(last.result.method),
            str(last.result.stands_for),
            last.result.steps,
            seconds,
        )

    def _export(self) -> None:
        if not (self._bundle / MANIFEST).is_file():
            seedtune.export(self._source, task=self._corpus.file, out=self._bundle, check=False, overwrite=True)


def _regression(learnt: seedtune.Evaluation, test: seedtune.Evaluation) -> Side:
    assert learnt.hidden is not None
    assert test.hidden is not None
    scores = fitted(learnt.hidden, np.asarray(learnt.labels)).predict_log_proba(test.hidden)
    return Side(*measured(scores, np.asarray(test.labels)))


def _side(evaluation: seedtune.Evaluation) -> Side:
    return Side(evaluation.accuracy, evaluation.loss)
