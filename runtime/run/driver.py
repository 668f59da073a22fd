"""Joins bundle, data, loop, journal and telemetry into a run, from its first step or from where it stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import msgspec

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header
from seedtune.runtime.loop.sampler import Sampler
from seedtune.runtime.loop.state import State
from seedtune.runtime.loop.steps import DivergedError, StepEvent, tune
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.splits import Split
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.run.choose_batch import choose_batch_size
from seedtune.runtime.run.description import describe_run
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.outcome import Outcome
from seedtune.runtime.run.resume import catch_up
from seedtune.runtime.run.settings import BATCH_SIZE_OF_WHOLE_ROWS, Settings
from seedtune.runtime.stages.slow_storage import SlowStorage
from seedtune.runtime.telemetry.memory import PeakSampler, read_memory
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import RunResult, StepRecord
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines


class Run:
    """A run in a RUN folder that this process holds.

    Args:
        folder: held open.
        bundle: verified.
        settings: checked.
        train: the rows to learn from.
        held_out: the rows to evaluate on, or None.
        threads: of ONNX Runtime; None for all processors.
        cache: where prefixes are kept, for a bundle of scope "suffix"; None for the RUN folder.
    """

    def __init__(
        self,
        folder: RunFolder,
        bundle: Bundle,
        settings: Settings,
        train: Split,
        held_out: Split | None,
        threads: int | None = None,
        cache: CacheOptions | None = None,
    ) -> None:
        self.folder = folder
        self.bundle = bundle
        self.settings = settings
        self.train = train
        layout = bundle.manifest.state
        self.state = State(bundle.session("update", 1), layout.parameters)
        self.optimizer = Normalised(settings.learning_rate, settings.steps, settings.schedule)
        self.held_out = HeldOut(folder, bundle, held_out, settings, threads) if held_out else None
        self._threads = threads
        self._cache = cache or CacheOptions(folder.prefixes)
        self._outcome = Outcome()

    def execute(self, progress: RunProgress, stop: Callable[[], bool] = lambda: False) -> RunResult:
        """Makes the remaining steps and writes every file of the RUN folder.

        Args:
            progress: shown each step and evaluation.
            stop: asked after each step; True ends the run cleanly, to be resumed later.

        Raises:
            DivergedError: a loss was not finite; all files are written.
            SeedTuneError: a file cannot be written.
        """
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            peak = stack.enter_context(PeakSampler())
            if self.bundle.memory:
                progress.notice(str(self.bundle.memory))
            journal, first_step = self._resume_journal() if self.folder.resume else (None, 0)
            feeder = self._feeder("train", self.train, progress)
            held_out_feeder = self._feeder("eval", self.held_out.split, progress) if self.held_out else None
            estimator = TwoSided(self.bundle.graph("probe", self._threads), self.settings.epsilon)
            if journal is None:
                self._fix_batch_size(estimator, feeder, progress)
                held_out = self.held_out.split if self.held_out else None
                self.folder.write_description(describe_run(self.bundle, self.settings, self.train, held_out))
                journal = JournalWriter.create(self.folder.journal, self._header)
            stack.enter_context(journal)
            log = stack.enter_context(JsonLinesWriter(self.folder.steps))
            if self.held_out and held_out_feeder and self._evaluation_due(first_step):
                self.held_out.at_step(first_step, self.state, held_out_feeder, progress)
            slow_storage = SlowStorage(lambda: self.bundle.reading, progress.notice)
            events = tune(
                estimator=estimator,
                optimizer=self.optimizer,
                sampler=Sampler(self.settings.seed, len(self.train.examples), self.settings.batch_size),
                feeder=feeder,
                state=self.state,
                record=journal.append,
                run_seed=self.settings.seed,
                first_step=first_step,
                steps=self.settings.steps,
                tokens_per_call=self._tokens_per_call,
            )
            interrupted, done, diverged = False, first_step, None
            try:
                for event in events:
                    done = event.step
                    elapsed = self._outcome.seconds_before + time.monotonic() - started
                    record = _step_record(event, elapsed, peak)
                    log.write(record)
                    progress.step(record)
                    slow_storage.step()
                    self._outcome.add(record)
                    if stop() and done < self.settings.steps:
                        interrupted = True
                        break
                    if self.held_out and held_out_feeder and self._evaluation_due(done):
                        self.held_out.at_step(done, self.state, held_out_feeder, progress)
            except DivergedError as error:
                diverged, interrupted = error, True
            result = self._outcome.result(
                steps=done,
                held_out=self.held_out,
                state_sha256=self.state.sha256(),
                journal=str(self.folder.journal),
                seconds=self._outcome.seconds_before + time.monotonic() - started,
                rss_anon_peak_bytes=peak.peak.rss_anon_bytes,
                vm_hwm_bytes=read_memory().vm_hwm_bytes,
                memory_limit_bytes=self.bundle.memory.limit_bytes if self.bundle.memory else None,
                interrupted=interrupted,
                batch_size=self.settings.batch_size,
            )
            self.folder.write_result(result)
        if diverged is not None:
            raise diverged
        return result

    def _fix_batch_size(self, estimator: TwoSided, feeder: Feeder, progress: RunProgress) -> None:
        """Puts a number in place of a batch size of 0."""
        if self.settings.batch_size:
            return
        size = BATCH_SIZE_OF_WHOLE_ROWS
        if self.bundle.manifest.scope == "suffix":
            with progress.phase("choosing the batch size") as phase:
                parameters = self.bundle.manifest.state.parameters
                choice = choose_batch_size(
                    estimator, feeder, parameters, self._tokens_per_call, self.settings.seed, phase.advance
                )
            progress.notice(str(choice))
            size = choice.batch_size
        self.settings = msgspec.structs.replace(self.settings, batch_size=size)

    @property
    def _tokens_per_call(self) -> int:
        """Tokens of one side."""
        return max(1, self.settings.rows_per_call // 2)

    @property
    def _header(self) -> Header:
        layout = self.bundle.manifest.state
        return Header(self.settings.seed, layout.parameters, self.bundle.sha256, self.settings.as_dict())

    def _feeder(self, name: str, split: Split, progress: RunProgress) -> Feeder:
        with contextlib.ExitStack() as stack:
            return open_feeder(
                self.bundle,
                split.examples,
                name=name,
                cache=self._cache,
                threads=self._threads,
                bar=lambda text, total: stack.enter_context(progress.phase(text, total)).advance,
                notice=progress.notice,
            )

    def _evaluation_due(self, step: int) -> bool:
        """Whether the state after ``step`` steps is evaluated; the same however often a run is stopped and resumed."""
        return step % self.settings.eval_every == 0 or step == self.settings.steps

    def _resume_journal(self) -> tuple[JournalWriter, int]:
        """The journal to append to and the steps already made; the state then holds them."""
        journal = read_journal(self.folder.journal)
        if journal.header != self._header:
            raise SeedTuneError(
                "the journal belongs to another run than run.json says",
                file=self.folder.journal,
                rule="same seed, bundle and settings",
                remedy="restore the folder from a copy, or start a new run",
            )
        catch_up(self.optimizer, journal, self.settings.epsilon, self.folder.path)
        self.state.apply(journal.seeds(), journal.records["coefficient"])
        # The step log is telemetry: a run can be resumed without it.
        logged = read_json_lines(self.folder.steps, StepRecord) if self.folder.steps.exists() else []
        steps = [record for record in logged if record.step <= len(journal)]
        self._outcome = Outcome(steps)
        return JournalWriter.resume(self.folder.journal, journal), len(journal)


def _step_record(event: StepEvent, elapsed: float, peak: PeakSampler) -> StepRecord:
    memory = read_memory()
    return StepRecord(
        step=event.step,
        loss=event.estimate.loss,
        loss_plus=event.estimate.loss_plus,
        loss_minus=event.estimate.loss_minus,
        projected_gradient=event.estimate.projected_gradient,
        coefficient=event.coefficient,
        learning_rate=event.learning_rate,
        rows=event.rows,
        tokens=event.tokens,
        padding_tokens=event.padding_tokens,
        encode_ms=event.encode_ms,
        probe_ms=event.probe_ms,
        update_ms=event.update_ms,
        journal_ms=event.journal_ms,
        total_ms=event.encode_ms + event.probe_ms + event.journal_ms + event.update_ms,
        elapsed_seconds=elapsed,
        prefix_tokens=event.prefix_tokens,
        prefix_padding_tokens=event.prefix_padding_tokens,
        vm_rss_bytes=memory.vm_rss_bytes,
        rss_anon_bytes=memory.rss_anon_bytes,
        rss_file_bytes=memory.rss_file_bytes,
        vm_hwm_bytes=memory.vm_hwm_bytes,
        rss_anon_peak_bytes=peak.peak.rss_anon_bytes,
    )
