package org.seedtune.engine.run.method

import java.io.Closeable
import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.JournalRecord
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.StepEvent
import org.seedtune.engine.tuning.estimator.GradientSettings
import org.seedtune.engine.tuning.estimator.ProbeEstimatorSettings
import org.seedtune.engine.tuning.optimizer.AdamWSettings
import org.seedtune.engine.tuning.optimizer.ProbeOptimizerSettings

/** The way a run finds its steps, which move one state. */
internal interface Method : Closeable {
    /** What is evaluated, kept and told after the steps made so far; stays this object's. */
    val evaluated: State

    /**
     * Brings the state to where a run stopped that is to go on.
     *
     * @return [journal] as far as the state has it.
     * @throws SeedTuneException the recorded steps are not those that these settings make, or the state was not kept.
     */
    fun catchUp(journal: Journal): Journal

    /**
     * Makes and records step [step] (from 0), one more than in the call before.
     *
     * @throws SeedTuneException a loss is not finite.
     */
    fun step(step: Int): StepEvent

    /**
     * Keeps the state after [step] steps, and that of the step [best], if the journal is not enough.
     *
     * @throws SeedTuneException a file cannot be written.
     */
    fun keep(step: Int, best: Int?)

    companion object {
        /**
         * The method that [settings], which have been checked, name; the caller closes it.
         *
         * @param feeder of the rows to learn from.
         * @param state which the method moves.
         * @param run the RUN folder.
         * @param check called often while a state is caught up with; ends it by throwing.
         * @param record puts the records of a step into the journal, durably.
         */
        fun of(
            settings: Settings, graphs: Graphs, feeder: Feeder, state: State, run: File, check: () -> Unit, record: (List<JournalRecord>) -> Unit,
        ): Method {
            val sampler = feeder.sampling(settings.seed, settings.batchSize)
            return when (val estimator = settings.estimator) {
                is ProbeEstimatorSettings -> {
                    val optimizer = (settings.optimizer as ProbeOptimizerSettings).build(settings.steps, estimator.probes)
                    ByProbes(settings, estimator, estimator.build(graphs), optimizer, sampler, feeder, state, check, record)
                }
                is GradientSettings -> {
                    val optimizer = (settings.optimizer as AdamWSettings).build(settings.steps)
                    ByGradient(settings, estimator.build(graphs), optimizer, sampler, feeder, state, run, record)
                }
            }
        }
    }
}
