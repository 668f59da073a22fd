package org.seedtune.engine.tuning.optimizer

import kotlin.math.sqrt
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.Recorded

/**
 * Settings of [AdamW].
 *
 * @property schedule how the learning rate falls: "linear", "cosine" or "constant".
 * @property beta1 what a step keeps of the mean gradient.
 * @property beta2 what a step keeps of the mean squared gradient.
 * @property weightDecay what each step takes from the state, in units of the learning rate.
 * @property clipNorm largest norm of a gradient; longer ones are shortened.
 */
data class AdamWSettings(
    override val learningRate: Double = 2e-3,
    val schedule: String = Schedule.LINEAR,
    val beta1: Double = 0.9,
    val beta2: Double = 0.999,
    val weightDecay: Double = 0.01,
    val clipNorm: Double = 1.0,
) : OptimizerSettings() {
    override val kind: String get() = KIND
    override val vectors: Int get() = 2

    /** The optimizer of a run of [steps] steps. */
    internal fun build(steps: Int) = AdamW(this, steps)

    override fun values(): Map<String, JsonPrimitive> = linkedMapOf(
        "learning_rate" to JsonPrimitive(learningRate),
        "schedule" to JsonPrimitive(schedule),
        "beta1" to JsonPrimitive(beta1),
        "beta2" to JsonPrimitive(beta2),
        "weight_decay" to JsonPrimitive(weightDecay),
        "clip_norm" to JsonPrimitive(clipNorm),
    )

    override fun check() {
        val word = OptimizerSettings.WORD
        for ((name, value) in listOf("learning_rate" to learningRate, "clip_norm" to clipNorm)) {
            Recorded.require("$word.$name", value, value.isFinite() && value > 0, "a finite number above 0")
        }
        for ((name, value) in listOf("beta1" to beta1, "beta2" to beta2)) {
            Recorded.require("$word.$name", value, value >= 0 && value < 1, "at least 0 and below 1")
        }
        Recorded.require("$word.weight_decay", weightDecay, weightDecay.isFinite() && weightDecay >= 0, "a finite number, 0 or more")
        Recorded.require("$word.schedule", schedule, schedule in Schedule.NAMES, Schedule.NAMES.joinToString())
    }

    internal companion object {
        internal const val KIND = "adamw"

        fun of(recorded: Recorded) = AdamWSettings(
            recorded.double("learning_rate"),
            recorded.text("schedule"),
            recorded.double("beta1"),
            recorded.double("beta2"),
            recorded.double("weight_decay"),
            recorded.double("clip_norm"),
        )
    }
}

/**
 * AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2) for exact gradients.
 *
 *     g <- g * min(1, clip_norm / |g|)
 *     m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2
 *     step  =  m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + 1e-8) + weight_decay state
 *     state <- state - learning_rate schedule(t) step
 *
 * Each operation rounds once to float32, in the order of the Python runtime, and none is fused: the same gradients give the same bits.
 * Memory: two more vectors as long as the state.
 */
internal class AdamW(private val settings: AdamWSettings, private val steps: Int) {
    /** Mean gradient [n]; empty before the first step. */
    var firstMoment = FloatArray(0)
        private set

    /** Mean squared gradient [n]; empty before the first step. */
    var secondMoment = FloatArray(0)
        private set
    private var kept1 = 1.0
    private var kept2 = 1.0

    /** The scheduled learning rate of step [step] (from 0). */
    fun rate(step: Int): Double = settings.learningRate * Schedule.factor(settings.schedule, step, steps)

    /** Goes on behind [steps] steps, after which the moments [n] were these. */
    fun restore(steps: Int, firstMoment: FloatArray, secondMoment: FloatArray) {
        this.firstMoment = firstMoment
        this.secondMoment = secondMoment
        repeat(steps) { forget() }
    }

    // Products rather than powers: they have the same bits in every language.
    private fun forget() {
        kept1 *= settings.beta1
        kept2 *= settings.beta2
    }

    /**
     * Changes [state] by step [step] (from 0), one more than in the call before.
     *
     * @param gradient [n].
     * @param norm of the gradient.
     */
    fun move(step: Int, state: State, gradient: FloatArray, norm: Double) {
        forget()
        if (firstMoment.isEmpty()) {
            firstMoment = FloatArray(gradient.size)
            secondMoment = FloatArray(gradient.size)
        }
        val shortened = if (norm > settings.clipNorm) (settings.clipNorm / norm).toFloat() else 1f
        val (beta1, beta2) = settings.beta1.toFloat() to settings.beta2.toFloat()
        val (new1, new2) = (1.0 - settings.beta1).toFloat() to (1.0 - settings.beta2).toFloat()
        val (unbiased1, unbiased2) = (1.0 / (1.0 - kept1)).toFloat() to (1.0 / (1.0 - kept2)).toFloat()
        val decay = settings.weightDecay.toFloat()
        val rate = rate(step).toFloat()
        val values = state.values
        for (place in gradient.indices) {
            val slope = gradient[place] * shortened
            val first = firstMoment[place] * beta1 + new1 * slope
            val second = secondMoment[place] * beta2 + slope * slope * new2
            firstMoment[place] = first
            secondMoment[place] = second
            var change = first / (sqrt(second * unbiased2) + STABILITY) * unbiased1
            if (settings.weightDecay != 0.0) change += decay * values.get(place)
            values.put(place, values.get(place) - change * rate)
        }
    }

    private companion object {
        /** Keeps a parameter that never had a gradient from dividing by 0. */
        const val STABILITY = 1e-8f
    }
}
