package org.seedtune.engine.tuning.estimator

import java.io.Closeable
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.State

/**
 * The K probes of one step, and what they imply. G is the number of groups: one state for all rows (1), or a state a row.
 *
 * @property groups G.
 * @property lossPlus float32 mean losses at state + epsilon z [K, G], as the journal keeps them.
 * @property lossMinus likewise at state - epsilon z.
 * @property projectedGradient the slope of the loss along each probe's noise [K, G].
 */
class Estimate internal constructor(
    val groups: Int,
    val lossPlus: FloatArray,
    val lossMinus: FloatArray,
    val projectedGradient: DoubleArray,
) {
    /** Mean of both sides: the loss at the state itself, up to second order in epsilon. */
    val loss: Double get() = lossPlus.indices.sumOf { lossPlus[it].toDouble() + lossMinus[it].toDouble() } / lossPlus.size / 2
}

/** Measures the loss along random directions. */
internal interface Estimator : Closeable {
    /**
     * The estimate over all rows of [batches].
     *
     * @param state of one group; or of G, where there are G rows and the row at place g ([Batch.index]) has state g.
     * @param seeds of the noise [K].
     * @param rows how many there are in all batches.
     */
    fun measure(state: State, seeds: LongArray, batches: Sequence<Batch>, rows: Int): Estimate
}
