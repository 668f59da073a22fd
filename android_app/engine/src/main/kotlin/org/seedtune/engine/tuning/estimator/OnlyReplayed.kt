package org.seedtune.engine.tuning.estimator

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.tuning.Recorded
import org.seedtune.engine.tuning.optimizer.DampedSettings
import org.seedtune.engine.tuning.optimizer.StandardisedSettings

/**
 * Estimators of several directions a step, which the Python runtime has and this engine does not: a journal of theirs is seeds and
 * coefficients as any other, so that it is replayed, but no step is made.
 */
sealed class OnlyReplayed : ProbeEstimatorSettings() {
    /** How far a probe moves every parameter. */
    abstract val epsilon: Double

    /** Directions of a step, each with a record in the journal. */
    abstract val directions: Int

    override val probes: Int get() = directions

    override fun build(graphs: Graphs): Estimator = throw refusal()

    override fun estimate(lossPlus: FloatArray, lossMinus: FloatArray, groups: Int): Estimate = throw refusal()

    override fun values(): Map<String, JsonPrimitive> =
        linkedMapOf("epsilon" to JsonPrimitive(epsilon), "directions" to JsonPrimitive(directions))

    override fun check() {
        checkEpsilon(epsilon)
        Recorded.require("$WORD.directions", directions, directions in 2..MOST_DIRECTIONS, "2 to $MOST_DIRECTIONS")
    }

    override fun requireMade() = throw refusal()

    private fun refusal() = notMadeHere(WORD, kind, "$WORD ${TwoSidedSettings.KIND}")

    private companion object {
        const val MOST_DIRECTIONS = 1 shl 16
    }
}

/** Settings of Gauss-Newton in a random subspace (runtime/estimators/gauss_newton.py). */
data class GaussNewtonSettings(override val epsilon: Double = 1e-2, override val directions: Int = 64) : OnlyReplayed() {
    override val kind: String get() = KIND
    override val optimizers: List<String> get() = listOf(DampedSettings.KIND)

    internal companion object {
        internal const val KIND = "gauss_newton"

        fun of(recorded: Recorded) = GaussNewtonSettings(recorded.double("epsilon"), recorded.int("directions"))
    }
}

/** Settings of one-sided differences (runtime/estimators/one_sided.py). */
data class OneSidedSettings(override val epsilon: Double = 1e-2, override val directions: Int = 8) : OnlyReplayed() {
    override val kind: String get() = KIND
    override val optimizers: List<String> get() = listOf(StandardisedSettings.KIND) + super.optimizers

    internal companion object {
        internal const val KIND = "one_sided"

        fun of(recorded: Recorded) = OneSidedSettings(recorded.double("epsilon"), recorded.int("directions"))
    }
}
