package org.seedtune.engine.tuning.optimizer

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.Recorded

/**
 * Settings of descent with momentum; all but [momentum] as in [NormalisedSettings].
 *
 * @property momentum what a step keeps of the velocity before it.
 */
data class MomentumSettings(
    override val learningRate: Double = 3e-2,
    val schedule: String = Schedule.LINEAR,
    val rmsDecay: Double = 0.98,
    val clip: Double = 3.0,
    val momentum: Double = 0.9,
    override val average: Double = 0.0,
) : ProbeOptimizerSettings() {
    private val normalised get() = NormalisedSettings(learningRate, schedule, rmsDecay, clip, average)

    override val kind: String get() = KIND
    override val ownVectors: Int get() = 1

    override fun plain(steps: Int): Optimizer = Momentum(Normalised(normalised, steps), momentum)

    override fun values(): Map<String, JsonPrimitive> =
        normalised.values() - AVERAGE + (MOMENTUM to JsonPrimitive(momentum)) + (AVERAGE to JsonPrimitive(average))

    override fun check() {
        normalised.check()
        Recorded.require("$WORD.$MOMENTUM", momentum, momentum >= 0 && momentum < 1, "at least 0 and below 1")
    }

    internal companion object {
        internal const val KIND = "momentum"
        private const val MOMENTUM = "momentum"

        fun of(recorded: Recorded): MomentumSettings {
            val (learningRate, schedule, rmsDecay, clip, average) = NormalisedSettings.of(recorded)
            return MomentumSettings(learningRate, schedule, rmsDecay, clip, recorded.double(MOMENTUM), average)
        }
    }
}

/**
 * Heavy-ball momentum (Polyak 1964) over the steps of [normalised]: the state moves by a velocity that remembers earlier noise.
 *
 *     c_t = - learning_rate * schedule(t) * (1 - momentum) * clip(g_t / rms_t, +-clip)
 *     velocity <- fl(fl(momentum * velocity) + c_t z_t),    state <- fl(state + velocity)
 *
 * Each operation rounds once and none is fused, so every machine and language gets the same bits. Memory: another vector as long
 * as the state, zero at the start.
 */
internal class Momentum(private val normalised: Normalised, private val momentum: Double) : Optimizer {
    private var velocity: State? = null

    override fun rate(step: Int): Double = normalised.rate(step)

    override fun coefficients(step: Int, projectedGradient: DoubleArray, groups: Int): FloatArray =
        normalised.scaled(-rate(step) * (1.0 - momentum), projectedGradient, groups)

    override fun move(state: State, seeds: LongArray, coefficients: FloatArray) {
        val moving = velocity ?: state.zeroLike().also { velocity = it }
        val kept = momentum.toFloat()
        val speeds = moving.values
        val values = state.values
        seeds.forEachIndexed { probe, seed ->
            for (place in 0 until speeds.capacity()) speeds.put(place, kept * speeds.get(place))
            moving.apply(longArrayOf(seed), coefficients.copyOfRange(probe * state.groups, (probe + 1) * state.groups))
            for (place in 0 until values.capacity()) values.put(place, values.get(place) + speeds.get(place))
        }
    }

    override fun close() {
        velocity?.close()
    }
}
