package org.seedtune.engine.run.method

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.run.KeptStates
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.optimizer.AdamWSettings
import org.seedtune.engine.tuning.optimizer.ProbeOptimizerSettings

/**
 * Takes [state], which is that of the start of the run in [run], to where [journal] leads, or to the latest state that was kept where a
 * journal cannot be replayed.
 *
 * @return the steps that it has then.
 * @throws SeedTuneException the journal's records are not those of its [settings], or the kept state is damaged.
 */
internal fun replay(settings: Settings, journal: Journal, run: File, state: State): Int {
    val record = settings.estimator.record
    if (journal.header.record != record) {
        throw SeedTuneException(
            "the journal's records are not those of its settings",
            run.path,
            journal.header.record.word,
            record.word,
            "restore the folder from a copy, or start a new run",
        )
    }
    return when (val optimizer = settings.optimizer) {
        is ProbeOptimizerSettings -> {
            optimizer.build(settings.steps, settings.estimator.probes).use {
                it.move(state, journal.seeds(), journal.coefficients())
                state.take(it.evaluated(state))
            }
            journal.steps
        }
        is AdamWSettings -> {
            val kept = KeptStates(run, state.parameters)
            kept.latest(journal).also { if (it > 0) state.put(0, kept.read(it, journal).state) }
        }
    }
}
