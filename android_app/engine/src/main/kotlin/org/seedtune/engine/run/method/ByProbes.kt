package org.seedtune.engine.run.method

import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampling
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.joined
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.StepEvent
import org.seedtune.engine.tuning.Tuner
import org.seedtune.engine.tuning.estimator.Estimator
import org.seedtune.engine.tuning.estimator.ProbeEstimatorSettings
import org.seedtune.engine.tuning.optimizer.Optimizer

/** Steps along noise: two losses a probe, and the state follows from the journal. */
internal class ByProbes(
    settings: Settings,
    private val estimating: ProbeEstimatorSettings,
    private val estimator: Estimator,
    private val optimizer: Optimizer,
    sampler: Sampling,
    feeder: Feeder,
    private val state: State,
    private val check: () -> Unit,
    record: (List<Record>) -> Unit,
) : Method {
    private val tuner =
        Tuner(estimator, estimating.probes, optimizer, sampler, feeder, state, record, settings.seed, settings.tokensPerCall)

    override val evaluated: State get() = optimizer.evaluated(state)

    /** Shows the optimizer the recorded steps, checks that it would take them again, and takes them. */
    override fun catchUp(journal: Journal): Journal {
        for (step in 0 until journal.steps) {
            val records = journal.step(step).filterIsInstance<Record>()
            val estimate = estimating.estimate(joined(records) { it.lossPlus }, joined(records) { it.lossMinus }, state.groups)
            optimizer.see(step, estimate, joined(records) { it.coefficient })
        }
        val (seeds, coefficients) = journal.seeds() to journal.coefficients()
        val probes = journal.header.recordsPerStep
        // A piece at a time: thousands of steps over a large state take a while.
        for (first in 0 until journal.steps step STEPS_AT_ONCE) {
            check()
            val (from, until) = first * probes to minOf(first + STEPS_AT_ONCE, journal.steps) * probes
            optimizer.move(state, seeds.copyOfRange(from, until), coefficients.copyOfRange(from * state.groups, until * state.groups))
        }
        return journal
    }

    override fun step(step: Int): StepEvent = tuner.step(step)

    /** The journal is enough. */
    override fun keep(step: Int, best: Int?) = Unit

    override fun close() {
        estimator.close()
        optimizer.close()
    }

    private companion object {
        const val STEPS_AT_ONCE = 32
    }
}
