"""The choice of what a run with a budget left open: trials of each method, the decision, and the plan."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass

import msgspec

from seedtune.runtime.durations import short_duration
from seedtune.runtime.estimators.gradient import Gradient, GradientSettings
from seedtune.runtime.estimators.protocol import Estimator
from seedtune.runtime.estimators.settings import EstimatorSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.methods.choice import method_name, method_of
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.trials.budget import Budget
from seedtune.runtime.run.trials.candidates import candidates
from seedtune.runtime.run.trials.decision import NOTHING, decide
from seedtune.runtime.run.trials.plan import most_steps, planned, rate_of_run
from seedtune.runtime.run.trials.trial import EVALUATION_SHARE, Laboratory
from seedtune.runtime.telemetry.events import Event
from seedtune.runtime.telemetry.memory import PeakSampler
from seedtune.runtime.telemetry.trials import FORMAT_VERSION, Expectation, Trial, Trials

# The part of a budget that the trials of a method may take. Gradients are cheap, and 50 steps say nothing of 300
# (docs/log/2026-11-28.md, "What a budget chooses").
TRIALS_SHARE: dict[type[EstimatorSettings], float] = {TwoSidedSettings: 0.15, GradientSettings: 0.4}
# How many steps tell anything. A guess.
FEWEST_STEPS = 10


@dataclass(frozen=True)
class Chosen:
    """``settings`` of a run, whose batch size is known, and what it expects; ``estimator`` is that of them, if open."""

    settings: Settings
    expected: Expectation
    estimator: Estimator | Gradient | None


class Choosing:
    """Chooses once, for one run.

    Args:
        laboratory: what trials share.
        folder: of the run; trials.json is written there after each.
        settings: what was given, and defaults.
        given: the names of the options that were given, which stay.
        budget: of the run.
        done: trials that were made before the run was stopped.
        peak: the most memory that the process has held.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        folder: RunFolder,
        settings: Settings,
        given: Collection[str],
        budget: Budget,
        done: list[Trial],
        peak: PeakSampler,
    ) -> None:
        self._laboratory = laboratory
        self._folder = folder
        self._settings = settings
        self._given = given
        self._budget = budget
        self._trials = list(done)
        self._peak = peak
        self._estimator: Estimator | Gradient | None = None

    def choosing(self) -> Generator[Event, None, Chosen | None]:
        """Makes trials, chooses and plans; None where it was stopped.

        Raises:
            SeedTuneError: the budget is too short.
            DivergedError: no method that could be tried has a finite loss.
        """
        graphs = self._laboratory.graphs
        groups = candidates(self._settings, self._given, graphs.bundle.manifest, limited=graphs.choice is not None)
        found: list[list[Trial]] = []
        sized: dict[str, Settings] = {}
        diverged: DivergedError | None = None
        for group in groups:
            settings = yield from self._sized(group[0])
            sized[method_name(settings)] = settings
            try:
                step_seconds = self._laboratory.step_seconds(settings, self._open(settings))
            except DivergedError as error:
                diverged = error
                continue
            if step_seconds is None:
                return None
            share = TRIALS_SHARE[type(settings.estimator)]
            # The same for every rate, so that none is favoured.
            slot = min(share * self._budget.seconds, self._budget.left / 2) / len(group)
            trials = yield from self._trying(group, settings, step_seconds, slot)
            if trials is None:
                return None
            if not trials and not found:
                return self._untried(settings, step_seconds, len(groups))
            if not trials:
                break
            found.append(trials)
        if diverged is not None and not found:
            raise diverged
        best, reason = decide(found, pinned="estimator" in self._given)
        if best is None:
            return self._nothing(next(iter(sized.values())), reason)
        settings = sized[best.method].changed({"learning_rate": best.learning_rate})
        return self._planned(settings, best.step_ms / 1e3, reason, best.steps)

    def _sized(self, settings: Settings) -> Generator[Event, None, Settings]:
        """``settings`` with the rows of a step."""
        before = next((trial for trial in self._trials if trial.method == method_name(settings)), None)
        if before is not None:
            return msgspec.structs.replace(settings, batch_size=before.batch_size)
        laboratory = self._laboratory
        manifest = laboratory.graphs.bundle.manifest
        method = method_of(settings, self._open(settings), manifest, laboratory.start, laboratory.folder)
        size = yield from method.batch_size(settings, laboratory.feeder)
        return msgspec.structs.replace(settings, batch_size=size)

    def _open(self, settings: Settings) -> Estimator | Gradient:
        """The estimator of ``settings``; one at a time, as memory wants it."""
        wanted = settings.estimator
        if self._estimator is None or isinstance(self._estimator, Gradient) != (method_name(settings) == "gradient"):
            self._estimator = None
            self._estimator = wanted.build(self._laboratory.graphs)
        return self._estimator

    def _trying(
        self, group: list[Settings], settings: Settings, step_seconds: float, slot: float
    ) -> Generator[Event, None, list[Trial] | None]:
        """The trials of one method; none where there is no time for one, and None where it was stopped."""
        laboratory = self._laboratory
        if laboratory.held_out is None:
            return []
        rates = [each.optimizer.learning_rate for each in group]
        if (1 - EVALUATION_SHARE) * slot < FEWEST_STEPS * step_seconds:
            # One that says something rather than several that do not.
            slot, rates = slot * len(rates), rates[:1]
        places = laboratory.places(slot)
        evaluation = laboratory.evaluation_seconds * len(places) / len(laboratory.held_out)
        steps = int((slot - evaluation) // step_seconds)
        most = most_steps(settings, len(laboratory.feeder), given="steps" in self._given)
        steps = steps if most is None else min(steps, most)
        if steps < min(FEWEST_STEPS, most or FEWEST_STEPS):
            return []
        found = []
        for rate in rates:
            trial = self._before(settings, rate)
            if trial is None:
                tried = settings.changed({"learning_rate": rate})
                trial = yield from laboratory.trying(tried, self._open(tried), steps=steps, seconds=slot, places=places)
                if trial is None:
                    return None
                self._trials.append(trial)
                self.write()
            found.append(trial)
        return found

    def _before(self, settings: Settings, rate: float) -> Trial | None:
        wanted = (method_name(settings), rate)
        return next((trial for trial in self._trials if (trial.method, trial.learning_rate) == wanted), None)

    def _untried(self, settings: Settings, step_seconds: float, methods: int) -> Chosen:
        """What is done where nothing can be tried: the preferred method, as it is by default."""
        why = "there are no held-out rows to try others on"
        if self._laboratory.held_out is not None:
            why = f"{short_duration(self._budget.seconds)} are too short to try others"
        name = method_name(settings)
        what = "as given" if "estimator" in self._given else "the default" if methods > 1 else "the only one here"
        return self._planned(settings, step_seconds, f"{name}: {what}, since {why}")

    def _planned(self, settings: Settings, step_seconds: float, reason: str, trial_steps: int | None = None) -> Chosen:
        laboratory, budget = self._laboratory, self._budget
        evaluation = laboratory.evaluation_seconds
        fewest = min(FEWEST_STEPS, settings.steps if "steps" in self._given else FEWEST_STEPS)
        budget.require(fewest * step_seconds + evaluation, f"{fewest} steps and an evaluation", resume=True)
        plan = planned(
            budget.left,
            step_seconds,
            evaluation,
            most_steps=most_steps(settings, len(laboratory.feeder), given="steps" in self._given),
            eval_every=settings.eval_every if "eval_every" in self._given else None,
        )
        settings = msgspec.structs.replace(settings, steps=plan.steps, eval_every=plan.eval_every)
        if trial_steps is not None and "learning_rate" not in self._given:
            settings = settings.changed({"learning_rate": rate_of_run(settings, trial_steps)})
        expected = Expectation(
            method=method_name(settings),
            reason=reason,
            learning_rate=settings.optimizer.learning_rate,
            batch_size=settings.batch_size,
            steps=plan.steps,
            eval_every=plan.eval_every,
            step_ms=1e3 * step_seconds,
            seconds=budget.elapsed + plan.seconds,
            rss_anon_bytes=self._peak.peak.rss_anon_bytes,
        )
        return Chosen(settings, expected, self._open(settings))

    def _nothing(self, settings: Settings, reason: str) -> Chosen:
        """A run has settings, though no step will see them: ``settings`` of the preferred method."""
        self._estimator = None
        expected = Expectation(
            method=NOTHING,
            reason=reason,
            learning_rate=None,
            batch_size=None,
            steps=0,
            eval_every=None,
            step_ms=None,
            seconds=self._budget.elapsed,
            rss_anon_bytes=self._peak.peak.rss_anon_bytes,
        )
        return Chosen(settings, expected, None)

    def write(self, expected: Expectation | None = None) -> None:
        """Writes trials.json as it is now, with the choice if there is one."""
        self._folder.write_trials(
            Trials(
                format_version=FORMAT_VERSION,
                budget_seconds=self._budget.seconds,
                elapsed_seconds=self._budget.elapsed,
                trials=self._trials,
                chosen=expected,
            )
        )
