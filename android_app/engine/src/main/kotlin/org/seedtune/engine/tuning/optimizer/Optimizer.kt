package org.seedtune.engine.tuning.optimizer

import java.io.Closeable
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.estimator.Estimate

/**
 * Turns the estimate of each step into the coefficients of its noise, and these into another state; one of them moves one state.
 *
 * A step is recorded before the state moves, so both halves follow from the record alone: the coefficients again from its losses, in
 * order ([see]), and the state from its coefficients ([move]). K is the number of probes a step, G the number of groups.
 */
internal interface Optimizer : Closeable {
    /** The scheduled learning rate of step [step] (from 0). */
    fun rate(step: Int): Double

    /**
     * What the noise of step [step] (from 0) is multiplied with, [K, G]. Asked once a step, in order.
     *
     * @param projectedGradient [K, G].
     * @param groups G.
     */
    fun coefficients(step: Int, projectedGradient: DoubleArray, groups: Int): FloatArray

    /** Changes [state] by recorded probes in order: [seeds] [R], and [coefficients] [R, G]. */
    fun move(state: State, seeds: LongArray, coefficients: FloatArray)

    /** What is evaluated, kept and told after the steps made so far, of which [state] is the last one's; stays this object's. */
    fun evaluated(state: State): State = state

    /**
     * Takes note of step [step] (from 0) that was made before, as a resumed run does; in the place of [coefficients].
     *
     * @param estimate as it was recorded.
     * @param recorded its coefficients [K, G].
     * @throws SeedTuneException this optimizer would have taken another step.
     */
    fun see(step: Int, estimate: Estimate, recorded: FloatArray) {
        val expected = coefficients(step, estimate.projectedGradient, estimate.groups)
        require(expected.size == recorded.size) { "${recorded.size} coefficients for ${expected.size} probes" }
        val other = expected.indices.firstOrNull { expected[it] != recorded[it] } ?: return
        throw SeedTuneException(
            "step ${step + 1} of the journal was not taken by these settings",
            value = recorded[other],
            rule = "coefficient ${expected[other]}",
            remedy = "resume with the version of SeedTune that began the run, or start a new run",
        )
    }

    override fun close() = Unit
}
