package org.seedtune.engine.tuning

import org.seedtune.engine.data.Work
import org.seedtune.engine.tuning.estimator.Estimate

/** What one step did, whichever way it was found: a closed union. */
sealed class StepEvent {
    /** From 1. */
    abstract val step: Int

    /** Mean loss of its rows, of a probe over both sides. */
    abstract val loss: Double

    /** The scheduled one. */
    abstract val learningRate: Double

    /** Of one side of all calls. */
    abstract val work: Work

    abstract val times: StepTimes
}

/** What one step took, in milliseconds: making batches, running the graph, recording, moving the state. */
class StepTimes internal constructor(val encodeMs: Double, val probeMs: Double, val journalMs: Double, val updateMs: Double) {
    /** All of them. */
    val totalMs: Double get() = encodeMs + probeMs + journalMs + updateMs
}

/**
 * A step along noise.
 *
 * @property coefficients of the step's noise, for each probe and group [K, G].
 */
class Taken internal constructor(
    override val step: Int,
    val estimate: Estimate,
    val coefficients: FloatArray,
    override val learningRate: Double,
    override val work: Work,
    override val times: StepTimes,
) : StepEvent() {
    override val loss: Double get() = estimate.loss
}

/**
 * A step along a gradient.
 *
 * @property loss of its rows before it.
 * @property gradientNorm Euclidean, before it was shortened.
 */
class Descended internal constructor(
    override val step: Int,
    override val loss: Double,
    val gradientNorm: Double,
    override val learningRate: Double,
    override val work: Work,
    override val times: StepTimes,
) : StepEvent()
