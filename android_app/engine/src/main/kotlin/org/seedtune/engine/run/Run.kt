package org.seedtune.engine.run

import java.io.Closeable
import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.StoppedException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.JournalRecord
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.method.Method
import org.seedtune.engine.start.StartFile
import org.seedtune.engine.telemetry.MemorySample

/**
 * A run in a RUN folder: new, or resumed after the steps that its journal holds. One thread at a time may use it.
 *
 * @param tell told events before the first step; ends the run by throwing.
 * @throws SeedTuneException the journal is damaged, or belongs to another run.
 * @throws StoppedException before it had a state.
 */
internal class Run(
    private val folder: RunFolder,
    private val bundle: Bundle,
    private val settings: Settings,
    train: Split,
    feeder: Feeder,
    heldOut: Split?,
    private val evaluation: HeldOut?,
    private val state: State,
    graphs: Graphs,
    private val memoryLimitBytes: Long?,
    private val interruption: Interruption,
    tell: (TuningEvent) -> Unit,
) : Closeable {
    private val method: Method
    private val journal: JournalWriter
    private val log: StepLog
    private val header: Header
    private val startsFromProbe: Boolean get() = header.startSha256 != null
    private var done: Int
    private var stopped = false

    init {
        val before = if (folder.begun) readJournal(folder.journal) else null
        val start = if (before == null) newStart(train, feeder, graphs, tell) else before.header.startSha256
        val (probes, record) = settings.estimator.probes to settings.estimator.record
        header = Header(settings.seed, state.parameters, state.groups, probes, bundle.sha256, settings.asMap(), start, record)
        if (before == null) folder.describe(bundle, settings, train, heldOut, start) else requireSame(before)
        StartFile.put(folder.folder, start, bundle.manifest.state, state)
        method = Method.of(settings, graphs, feeder, state, folder.folder, interruption::check, ::record)
        val made = before?.let(::caughtUp)
        journal = if (made == null) JournalWriter.create(folder.journal, header) else JournalWriter.resume(folder.journal, made)
        done = made?.steps ?: 0
        log = StepLog(folder.steps, done)
    }

    /** Makes the remaining steps, until [onEvent] returns false or somebody interrupts; writes result.json either way. */
    fun execute(onEvent: (TuningEvent) -> Boolean): RunResult {
        try {
            if (startsFromProbe) state.zeroLike().use { evaluation?.evaluateUntouched(it) }
            var goesOn = evaluated(onEvent)
            while (goesOn && done < settings.steps) {
                val event = method.step(done)
                done = event.step
                log.write(event)
                goesOn = onEvent(TuningEvent.Step(event)) && evaluated(onEvent)
            }
            stopped = !goesOn
        } catch (_: StoppedException) {
            // What was being computed is lost; every step in the journal stays.
            stopped = true
        } finally {
            conclude()
        }
        // No step follows, so the state may become what the run came to.
        state.take(method.evaluated)
        return RunResult(done, isLeft, state.sha256(), evaluation?.best?.step, evaluation?.records?.lastOrNull()?.accuracy)
    }

    private val isLeft: Boolean get() = done < settings.steps || stopped && evaluation?.isDue(done) == true

    private fun evaluated(onEvent: (TuningEvent) -> Boolean): Boolean {
        // Before it is evaluated: whoever reads the evaluation finds the state.
        if (done % settings.evalEvery == 0) method.keep(done, evaluation?.best?.step)
        if (evaluation == null || !evaluation.isDue(done)) return true
        val record = evaluation.evaluate(done, method.evaluated)
        return onEvent(TuningEvent.Evaluated(done, record.accuracy, record.loss, record.best))
    }

    /** SHA-256 of the file that keeps the start of a new run; null for zero. */
    private fun newStart(train: Split, feeder: Feeder, graphs: Graphs, tell: (TuningEvent) -> Unit): String? {
        val probe = ClosedForm.probe(bundle, settings, train, feeder, state, graphs, memoryLimitBytes, tell, interruption::check) ?: return null
        val raw = StartFile.encode(probe, bundle.manifest.state.head!!)
        writeDurably(File(folder.folder, StartFile.NAME), raw)
        return sha256Of(raw)
    }

    private fun conclude() {
        method.keep(done, evaluation?.best?.step)
        val evaluations = evaluation?.records.orEmpty()
        val zeroShot = if (startsFromProbe) evaluation?.zeroShot else evaluations.firstOrNull()?.takeIf { it.step == 0 }
        val (lossStart, lossEnd) = if (evaluations.isEmpty()) log.edges() else evaluations.first().loss to evaluations.last().loss
        folder.conclude(
            linkedMapOf(
                "steps" to done,
                "loss_start" to lossStart,
                "loss_end" to lossEnd,
                "state_sha256" to method.evaluated.sha256(),
                "journal" to folder.journal.path,
                "probe_ms_median" to log.medianProbeMs,
                "rss_anon_peak_bytes" to log.peakAnonymousBytes,
                "best_step" to evaluation?.best?.step,
                "accuracy_start" to evaluations.firstOrNull()?.accuracy,
                "accuracy_best" to (evaluation?.best ?: evaluation?.zeroShot)?.accuracy,
                "accuracy_end" to evaluations.lastOrNull()?.accuracy,
                "seconds_total" to log.elapsedSeconds,
                "interrupted" to isLeft,
                "batch_size" to settings.batchSize,
                "vm_hwm_bytes" to MemorySample.read().vmHwmBytes,
                "memory_limit_bytes" to memoryLimitBytes,
                "start" to (if (startsFromProbe) Settings.LINEAR_PROBE else Settings.ZERO),
                "accuracy_zero_shot" to zeroShot?.accuracy,
                "loss_zero_shot" to zeroShot?.loss,
                "objective" to "loss",
            ),
        )
    }

    private fun requireSame(before: Journal) {
        val sameBundle = before.header.copy(settings = emptyMap()) == header.copy(settings = emptyMap())
        if (sameBundle && Settings.of(before.header.settings, folder.journal) == settings) return
        throw SeedTuneException(
            "this run was begun with another bundle or other settings",
            folder.folder.path,
            settings.asMap(),
            "the same as at the start: ${before.header.settings}",
            "resume with what it was begun with, or start a new run",
        )
    }

    private fun record(records: List<JournalRecord>) = journal.append(records)

    private fun caughtUp(before: Journal): Journal =
        try {
            method.catchUp(before)
        } catch (error: StoppedException) {
            method.close()
            throw error
        } catch (error: SeedTuneException) {
            method.close()
            throw if (error.file == null) error.at(folder.journal.path) else error
        }

    override fun close() {
        method.close()
        log.close()
        journal.close()
    }
}
