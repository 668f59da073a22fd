package org.seedtune.engine.tuning.optimizer

import kotlin.math.PI
import kotlin.math.cos

/** Learning-rate schedules: the factor of each step, a pure function of its number. */
internal object Schedule {
    const val LINEAR = "linear"
    const val CONSTANT = "constant"
    val NAMES = listOf(LINEAR, "cosine", CONSTANT)

    /** The factor of step [step] (from 0) of [steps]: from 1 towards 0, or always 1. The last step still moves: linear ends at 1/steps. */
    fun factor(schedule: String, step: Int, steps: Int): Double {
        val remaining = (steps - step).toDouble() / steps
        return when (schedule) {
            CONSTANT -> 1.0
            LINEAR -> remaining
            else -> 0.5 * (1.0 - cos(PI * remaining))
        }
    }
}
