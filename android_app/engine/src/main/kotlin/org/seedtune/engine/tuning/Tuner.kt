package org.seedtune.engine.tuning

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampling
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.probeSeed
import org.seedtune.engine.tuning.estimator.Estimate
import org.seedtune.engine.tuning.estimator.Estimator
import org.seedtune.engine.tuning.optimizer.Optimizer

/**
 * The tuning loop: rows -> batches -> losses -> coefficients -> journal -> state. Knows nothing of files, screens or devices, nor of
 * what the rows are.
 *
 * @param probes K, of a step.
 * @param record puts the records of a step into the journal, durably; the state changes after it has returned.
 * @param limit units of one side that a call of the graph may have; bounds memory.
 */
internal class Tuner(
    private val estimator: Estimator,
    private val probes: Int,
    private val optimizer: Optimizer,
    private val sampler: Sampling,
    private val feeder: Feeder,
    private val state: State,
    private val record: (List<Record>) -> Unit,
    private val runSeed: Long,
    private val limit: Int,
) {
    /**
     * Makes step [step] (from 0).
     *
     * @throws SeedTuneException a loss is not finite; the state and the journal end with the step before.
     */
    fun step(step: Int): Taken {
        val clock = Clock()
        val batches = Counted(feeder.batches(sampler.indices(step), limit))
        val seeds = LongArray(probes) { probeSeed(runSeed, step.toLong() * probes + it) }
        val estimate = estimator.measure(state, seeds, batches.all, sampler.batchSize)
        val probeMs = clock.lap() - batches.encodeMs
        requireFinite(estimate, step)
        val coefficients = optimizer.coefficients(step, estimate.projectedGradient, estimate.groups)
        record(records(estimate, coefficients))
        val journalMs = clock.lap()
        optimizer.move(state, seeds, coefficients)
        return Taken(
            step + 1,
            estimate,
            coefficients,
            optimizer.rate(step),
            batches.work,
            StepTimes(batches.encodeMs, probeMs, journalMs, clock.lap()),
        )
    }

    private fun records(estimate: Estimate, coefficients: FloatArray): List<Record> =
        (coefficients.indices step estimate.groups).map { first ->
            fun FloatArray.part() = copyOfRange(first, first + estimate.groups)
            Record(coefficients.part(), estimate.lossPlus.part(), estimate.lossMinus.part())
        }

    private fun requireFinite(estimate: Estimate, step: Int) {
        val (plus, minus) = estimate.lossPlus to estimate.lossMinus
        val place = plus.indices.firstOrNull { !plus[it].isFinite() || !minus[it].isFinite() } ?: return
        throw SeedTuneException(
            "the loss of step ${step + 1} is not finite; the run stopped before it, nothing of it was recorded",
            value = "${plus[place]} / ${minus[place]} at learning rate ${optimizer.rate(step)}",
            rule = "both losses of a step are finite",
            remedy = "start a new run with a smaller learning rate (a tenth, say); the state before this step is kept",
        )
    }
}
