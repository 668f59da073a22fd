package org.seedtune.engine.tuning.optimizer

import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.estimator.Estimate

/**
 * The mean of the last states instead of the last one (Polyak and Juditsky 1992; of a tail: Jain et al. 2018).
 *
 *     of the m-th of the last (average * steps) steps:  mean <- fl(mean + fl(fl(state - mean) * fl(1 / m)))
 *
 * Each operation rounds once and none is fused. The steps of [inner] go on from the state; before the tail begins the state itself
 * stands for the mean. Memory: one more vector as long as the state.
 *
 * @param probes the records of a step.
 */
internal class Averaged(private val inner: Optimizer, average: Double, steps: Int, private val probes: Int) : Optimizer {
    private val first = steps - maxOf(1, (average * steps).toInt())
    private var done = 0
    private var mean: State? = null

    override fun rate(step: Int): Double = inner.rate(step)

    override fun coefficients(step: Int, projectedGradient: DoubleArray, groups: Int): FloatArray =
        inner.coefficients(step, projectedGradient, groups)

    override fun see(step: Int, estimate: Estimate, recorded: FloatArray) = inner.see(step, estimate, recorded)

    override fun move(state: State, seeds: LongArray, coefficients: FloatArray) {
        val before = minOf(seeds.size.toLong(), maxOf(0, first - done).toLong() * probes).toInt()
        part(state, seeds, coefficients, 0, before)
        done += before / probes
        for (place in before until seeds.size step probes) {
            part(state, seeds, coefficients, place, place + probes)
            done++
            take(state)
        }
    }

    override fun evaluated(state: State): State = mean ?: state

    private fun part(state: State, seeds: LongArray, coefficients: FloatArray, from: Int, until: Int) =
        inner.move(state, seeds.copyOfRange(from, until), coefficients.copyOfRange(from * state.groups, until * state.groups))

    private fun take(state: State) {
        val means = (mean ?: state.zeroLike().also { mean = it }).values
        val values = state.values
        val share = (1.0 / (done - first)).toFloat()
        for (place in 0 until values.capacity()) {
            means.put(place, means.get(place) + (values.get(place) - means.get(place)) * share)
        }
    }

    override fun close() {
        mean?.close()
        inner.close()
    }
}
