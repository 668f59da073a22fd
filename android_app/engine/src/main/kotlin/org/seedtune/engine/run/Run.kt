package org.seedtune.engine.run

import java.io.Closeable
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.telemetry.JsonLines
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.tuning.Estimate
import org.seedtune.engine.tuning.Normalised
import org.seedtune.engine.tuning.StepEvent
import org.seedtune.engine.tuning.Tuner
import org.seedtune.engine.tuning.TwoSided

/**
 * A run in a RUN folder: new, or resumed after the steps that its journal holds. One thread at a time may use it.
 *
 * @throws SeedTuneException the journal is damaged, or belongs to another run.
 */
internal class Run(
    private val folder: RunFolder,
    private val bundle: Bundle,
    private val settings: Settings,
    private val train: Split,
    private val feeder: Feeder,
    private val state: State,
    threads: Int,
) : Closeable {
    private val header = Header(settings.seed, bundle.manifest.state.parameters, bundle.sha256, settings.asMap())
    private val optimizer = Normalised(settings.learningRate, settings.steps, settings.schedule)
    private val journal: JournalWriter
    private val log: JsonLines
    private val estimator: TwoSided
    private val started = System.nanoTime()
    private var firstLoss: Double? = null
    private var lastLoss: Double? = null
    private var peakAnonymousBytes: Long? = null

    /** Steps made so far, those before a resume included. */
    var done: Int
        private set

    init {
        val before = if (folder.begun) readJournal(folder.journal) else null
        if (before == null) {
            folder.describe(bundle, settings, train, null)
            journal = JournalWriter.create(folder.journal, header)
        } else {
            requireSame(before)
            catchUp(before)
            journal = JournalWriter.resume(folder.journal, before)
        }
        done = before?.records?.size ?: 0
        log = JsonLines(folder.steps)
        estimator = TwoSided(GraphSession(bundle.graph("probe"), threads), settings.epsilon)
    }

    private val tuner = Tuner(
        estimator,
        optimizer,
        Sampler(settings.seed, train.examples.size, settings.batchSize),
        feeder,
        state,
        journal::append,
        settings.seed,
        settings.tokensPerCall,
    )

    /** Whether all steps are made. */
    val finished: Boolean get() = done >= settings.steps

    /** Makes the next step. */
    fun step(): StepEvent {
        val event = tuner.step(done)
        done = event.step
        firstLoss = firstLoss ?: event.estimate.loss
        lastLoss = event.estimate.loss
        log.write(record(event))
        return event
    }

    /** Writes result.json. */
    fun conclude() {
        folder.conclude(
            linkedMapOf(
                "steps" to done,
                "loss_start" to firstLoss,
                "loss_end" to lastLoss,
                "state_sha256" to state.sha256(),
                "journal" to folder.journal.path,
                "probe_ms_median" to null,
                "rss_anon_peak_bytes" to peakAnonymousBytes,
                "best_step" to null,
                "accuracy_start" to null,
                "accuracy_best" to null,
                "accuracy_end" to null,
                "seconds_total" to elapsedSeconds(),
                "interrupted" to !finished,
                "batch_size" to settings.batchSize,
                "vm_hwm_bytes" to MemorySample.read().vmHwmBytes,
            ),
        )
    }

    private fun requireSame(before: Journal) {
        if (before.header.copy(settings = emptyMap()) == header.copy(settings = emptyMap()) && Settings.of(before.header.settings) == settings) return
        throw SeedTuneException(
            "this run was begun with another bundle or other settings",
            folder.folder.path,
            before.header.settings,
            "the same as at the start: ${settings.asMap()}",
            "resume with what it was begun with, or start a new run",
        )
    }

    /** Shows the optimizer the recorded steps, checks that it would take them again, and takes them. */
    private fun catchUp(before: Journal) {
        before.records.forEachIndexed { step, record ->
            val expected = optimizer.coefficient(step, Estimate(record.lossPlus, record.lossMinus, settings.epsilon).projectedGradient)
            if (expected != record.coefficient) {
                throw SeedTuneException(
                    "step ${step + 1} of the journal was not taken by these settings",
                    folder.journal.path,
                    record.coefficient,
                    "coefficient $expected",
                    "resume with the version of SeedTune that began the run, or start a new run",
                )
            }
        }
        state.apply(before.seeds(), FloatArray(before.records.size) { before.records[it].coefficient })
    }

    private fun elapsedSeconds() = (System.nanoTime() - started) / 1e9

    private fun record(event: StepEvent): Map<String, Any?> {
        val memory = MemorySample.read()
        peakAnonymousBytes = listOfNotNull(peakAnonymousBytes, memory.rssAnonBytes).maxOrNull()
        return linkedMapOf(
            "step" to event.step,
            "loss" to event.estimate.loss,
            "loss_plus" to event.estimate.lossPlus,
            "loss_minus" to event.estimate.lossMinus,
            "projected_gradient" to event.estimate.projectedGradient,
            "coefficient" to event.coefficient,
            "learning_rate" to event.learningRate,
            "rows" to event.rows,
            "tokens" to event.tokens,
            "padding_tokens" to event.paddingTokens,
            "encode_ms" to event.encodeMs,
            "probe_ms" to event.probeMs,
            "update_ms" to event.updateMs,
            "journal_ms" to event.journalMs,
            "total_ms" to event.encodeMs + event.probeMs + event.journalMs + event.updateMs,
            "elapsed_seconds" to elapsedSeconds(),
            "prefix_tokens" to event.prefixTokens,
            "prefix_padding_tokens" to event.prefixPaddingTokens,
            "vm_rss_bytes" to memory.vmRssBytes,
            "rss_anon_bytes" to memory.rssAnonBytes,
            "rss_file_bytes" to memory.rssFileBytes,
            "vm_hwm_bytes" to memory.vmHwmBytes,
            "rss_anon_peak_bytes" to peakAnonymousBytes,
        )
    }

    override fun close() {
        estimator.close()
        log.close()
        journal.close()
    }
}
