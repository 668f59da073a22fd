package org.seedtune.engine.tuning

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sqrt

/** The factor of step [step] (from 0) of [steps]: from 1 towards 0, or always 1. */
fun scheduleFactor(schedule: String, step: Int, steps: Int): Double {
    val remaining = (steps - step).toDouble() / steps
    return when (schedule) {
        "constant" -> 1.0
        "linear" -> remaining
        else -> 0.5 * (1.0 - cos(PI * remaining))
    }
}

/**
 * Stochastic descent along the noise, with the projected gradient measured in units of its own running size.
 *
 *     v_t = decay * v_{t-1} + (1 - decay) * g_t^2,   rms_t = sqrt(v_t / (1 - decay^t))
 *     coefficient_t = - learning_rate * schedule(t) * clip(g_t / rms_t, +-limit)
 *
 * [coefficient] must be asked once per step, in order. Every operation is exact IEEE arithmetic (powers are products), so that
 * all machines take the same step; only the schedule "cosine" depends on a library's cosine.
 */
class Normalised(private val learningRate: Double, private val steps: Int, private val schedule: String) {
    private var meanSquare = 0.0
    private var forgotten = 1.0

    /** The scheduled learning rate of step [step] (from 0). */
    fun rate(step: Int): Double = learningRate * scheduleFactor(schedule, step, steps)

    /** The value that the noise of step [step] (from 0) is multiplied with. */
    fun coefficient(step: Int, projectedGradient: Double): Float {
        forgotten *= DECAY
        meanSquare = DECAY * meanSquare + (1.0 - DECAY) * (projectedGradient * projectedGradient)
        val root = sqrt(meanSquare / (1.0 - forgotten))
        if (root == 0.0) return 0f
        return (-rate(step) * (projectedGradient / root).coerceIn(-LIMIT, LIMIT)).toFloat()
    }

    private companion object {
        const val DECAY = 0.98
        const val LIMIT = 3.0
    }
}
