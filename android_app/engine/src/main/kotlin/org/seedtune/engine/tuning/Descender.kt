package org.seedtune.engine.tuning

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampling
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.tuning.estimator.Descent
import org.seedtune.engine.tuning.estimator.Gradient
import org.seedtune.engine.tuning.optimizer.AdamW

/**
 * The loop along exact gradients: rows -> batches -> loss and gradient -> another state -> journal. As [Tuner] it knows nothing of
 * files, screens or devices. The journal records what proves a step, not what makes it again: the state after it has to be kept
 * elsewhere.
 *
 * @param record puts the record of a step into the journal, durably, after the state has moved.
 * @param limit units that a call of the graph may have; bounds memory.
 */
internal class Descender(
    private val gradient: Gradient,
    private val optimizer: AdamW,
    private val sampler: Sampling,
    private val feeder: Feeder,
    private val state: State,
    private val record: (List<GradientRecord>) -> Unit,
    private val limit: Int,
) {
    /** Whether the state has moved by a step that the journal does not have; then it proves nothing, and is not to be kept. */
    var isAhead = false
        private set

    /**
     * Makes step [step] (from 0), one more than in the call before.
     *
     * @throws SeedTuneException loss or gradient are not finite; the state and the journal end with the step before.
     */
    fun step(step: Int): Descended {
        val clock = Clock()
        val batches = Counted(feeder.batches(sampler.indices(step), limit))
        val found = gradient.measure(state, batches.all)
        val probeMs = clock.lap() - batches.encodeMs
        val rate = optimizer.rate(step)
        val norm = found.norm
        requireFinite(found, norm, rate, step)
        isAhead = true
        optimizer.move(step, state, found.gradient, norm)
        val updateMs = clock.lap()
        record(listOf(GradientRecord(found.loss.toFloat(), rate.toFloat(), state.sha256Bytes())))
        isAhead = false
        val times = StepTimes(batches.encodeMs, probeMs, clock.lap(), updateMs)
        return Descended(step + 1, found.loss, norm, rate, batches.work, times)
    }

    private fun requireFinite(found: Descent, norm: Double, rate: Double, step: Int) {
        if (found.loss.isFinite() && norm.isFinite()) return
        throw SeedTuneException(
            "the loss of step ${step + 1} is not finite; the run stopped before it, nothing of it was recorded",
            value = "loss ${found.loss}, gradient of norm $norm at learning rate $rate",
            rule = "loss and gradient of a step are finite",
            remedy = "start a new run with a smaller learning rate (a tenth, say); the state before this step is kept",
        )
    }
}
