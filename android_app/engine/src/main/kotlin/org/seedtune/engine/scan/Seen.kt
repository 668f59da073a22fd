package org.seedtune.engine.scan

import org.seedtune.engine.graph.State
import org.seedtune.engine.noise.Noise

/**
 * Which of G pictures were found.
 *
 * @property step [G] at which, from 1; 0 while it was not.
 * @property side [G] of that step's probe, 1 or -1.
 */
class ScanFindings internal constructor(groups: Int) {
    val step = IntArray(groups)
    val side = IntArray(groups)

    /** How many were found. */
    val found: Int get() = step.count { it > 0 }

    /** The places of those that are still looked for. */
    internal fun open(): IntArray = step.indices.filter { step[it] == 0 }.toIntArray()

    internal fun see(step: Int, plus: FloatArray, minus: FloatArray) {
        for (place in open()) {
            if (plus[place] != 0f && minus[place] != 0f) continue
            this.step[place] = step
            side[place] = if (plus[place] == 0f) 1 else -1
        }
    }
}

/** The best side so far of each of G pictures that far probes of the untouched one have; the earlier, and plus, where losses are equal. */
internal class Opening(groups: Int) {
    private val loss = FloatArray(groups) { Float.POSITIVE_INFINITY }
    private val seeds = LongArray(groups)
    private val side = FloatArray(groups)

    fun see(seed: Long, plus: FloatArray, minus: FloatArray) {
        for ((sign, losses) in listOf(1f to plus, -1f to minus)) {
            for (place in losses.indices) {
                if (losses[place] >= loss[place]) continue
                loss[place] = losses[place]
                seeds[place] = seed
                side[place] = sign
            }
        }
    }

    /** Puts every picture's state [reach] away along the noise of its best probe. */
    fun start(state: State, reach: Double) {
        val far = reach.toFloat()
        val noise = HashMap<Long, FloatArray>()
        val values = state.values
        for (place in side.indices) {
            if (side[place] == 0f) continue
            val of = noise.getOrPut(seeds[place]) { Noise.rademacher(seeds[place], state.parameters) }
            for (each in of.indices) values.put(place * state.parameters + each, side[place] * (of[each] * far))
        }
    }
}
