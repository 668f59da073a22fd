package org.seedtune.engine.tuning.optimizer

import kotlin.math.sqrt
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.Recorded

/**
 * Settings of normalised descent.
 *
 * @property schedule how the learning rate falls: "linear", "cosine" or "constant".
 * @property rmsDecay of the running size of the projected gradient, a step.
 * @property clip largest step, in units of a typical one.
 */
data class NormalisedSettings(
    override val learningRate: Double = 3e-2,
    val schedule: String = Schedule.LINEAR,
    val rmsDecay: Double = 0.98,
    val clip: Double = 3.0,
    override val average: Double = 0.0,
) : ProbeOptimizerSettings() {
    override val kind: String get() = KIND
    override val ownVectors: Int get() = 0

    override fun plain(steps: Int): Optimizer = Normalised(this, steps)

    override fun values(): Map<String, JsonPrimitive> = linkedMapOf(
        "learning_rate" to JsonPrimitive(learningRate),
        "schedule" to JsonPrimitive(schedule),
        "rms_decay" to JsonPrimitive(rmsDecay),
        "clip" to JsonPrimitive(clip),
        AVERAGE to JsonPrimitive(average),
    )

    override fun check() {
        checkShared(schedule)
        checkAverage()
        Recorded.require("$WORD.clip", clip, clip.isFinite() && clip > 0, "a finite number above 0")
        Recorded.require("$WORD.rms_decay", rmsDecay, rmsDecay > 0 && rmsDecay < 1, "above 0 and below 1")
    }

    internal companion object {
        internal const val KIND = "normalised"

        fun of(recorded: Recorded) = NormalisedSettings(
            recorded.double("learning_rate"), recorded.text("schedule"), recorded.double("rms_decay"), recorded.double("clip"),
            recorded.double(AVERAGE, 0.0),
        )
    }
}

/**
 * Stochastic descent along the noise, with the projected gradient measured in units of its own running size.
 *
 *     v_t = rms_decay * v_{t-1} + (1 - rms_decay) * g_t^2,   rms_t = sqrt(v_t / (1 - rms_decay^t))
 *     coefficient_t = - learning_rate * schedule(t) * clip(g_t / rms_t, +-clip)
 *
 * and state <- fl(state + coefficient z). Of K probes a step each has a K-th of the step, and g^2 is their mean; every group has a
 * v of its own. Every operation is exact IEEE arithmetic (powers are products), so that all machines take the same step; only the
 * schedule "cosine" depends on a library's cosine.
 */
internal class Normalised(private val settings: NormalisedSettings, private val steps: Int) : Optimizer {
    private var meanSquares = DoubleArray(0)
    private var forgotten = 1.0

    override fun rate(step: Int): Double = settings.learningRate * Schedule.factor(settings.schedule, step, steps)

    override fun coefficients(step: Int, projectedGradient: DoubleArray, groups: Int): FloatArray = scaled(-rate(step), projectedGradient, groups)

    override fun move(state: State, seeds: LongArray, coefficients: FloatArray) = state.apply(seeds, coefficients)

    /** [factor] times the normalised gradient, [K, groups]; asked once a step, in order. */
    fun scaled(factor: Double, projectedGradient: DoubleArray, groups: Int): FloatArray {
        if (meanSquares.isEmpty()) meanSquares = DoubleArray(groups)
        require(groups == meanSquares.size && projectedGradient.size % groups == 0) {
            "${projectedGradient.size} gradients for $groups groups, ${meanSquares.size} before"
        }
        val probes = projectedGradient.size / groups
        val found = FloatArray(projectedGradient.size)
        forgotten *= settings.rmsDecay
        for (group in 0 until groups) {
            val places = group until projectedGradient.size step groups
            val square = places.fold(0.0) { sum, place -> sum + projectedGradient[place] * projectedGradient[place] } / probes
            meanSquares[group] = settings.rmsDecay * meanSquares[group] + (1.0 - settings.rmsDecay) * square
            val root = sqrt(meanSquares[group] / (1.0 - forgotten))
            // A gradient that was never anything but 0 stays at 0.
            if (root == 0.0) continue
            for (place in places) {
                found[place] = (factor * (projectedGradient[place] / root).coerceIn(-settings.clip, settings.clip) / probes).toFloat()
            }
        }
        return found
    }
}
