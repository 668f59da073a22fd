package org.seedtune.engine.tuning.optimizer

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.Recorded
import org.seedtune.engine.tuning.estimator.Estimate

/** Optimizers of estimators that this engine only replays: their coefficients are in the journal, and are not made here. */
sealed class OnlyReplayedSettings : ProbeOptimizerSettings() {
    /** How the learning rate falls. */
    abstract val schedule: String

    override val ownVectors: Int get() = 0

    override fun plain(steps: Int): Optimizer = OnlyReplayed(this, steps)

    override fun values(): Map<String, JsonPrimitive> = linkedMapOf(
        "learning_rate" to JsonPrimitive(learningRate),
        "schedule" to JsonPrimitive(schedule),
        AVERAGE to JsonPrimitive(average),
    )

    override fun check() {
        checkShared(schedule)
        checkAverage()
    }
}

/** Settings of steps in units of the deviation of their slopes (runtime/optimizers/standardised.py). */
data class StandardisedSettings(
    override val learningRate: Double = 3e-2,
    override val schedule: String = Schedule.LINEAR,
    override val average: Double = 0.0,
) : OnlyReplayedSettings() {
    override val kind: String get() = KIND

    internal companion object {
        internal const val KIND = "standardised"

        fun of(recorded: Recorded) =
            StandardisedSettings(recorded.double("learning_rate"), recorded.text("schedule"), recorded.double(AVERAGE, 0.0))
    }
}

/** Settings of steps that were solved for (runtime/optimizers/damped.py). */
data class DampedSettings(
    override val learningRate: Double = 1.0,
    override val schedule: String = Schedule.CONSTANT,
    override val average: Double = 0.0,
) : OnlyReplayedSettings() {
    override val kind: String get() = KIND

    internal companion object {
        internal const val KIND = "damped"

        fun of(recorded: Recorded) =
            DampedSettings(recorded.double("learning_rate"), recorded.text("schedule"), recorded.double(AVERAGE, 0.0))
    }
}

/** `state <- fl(state + c z)` for recorded coefficients c. */
internal class OnlyReplayed(private val settings: OnlyReplayedSettings, private val steps: Int) : Optimizer {
    override fun rate(step: Int): Double = settings.learningRate * Schedule.factor(settings.schedule, step, steps)

    override fun coefficients(step: Int, projectedGradient: DoubleArray, groups: Int): FloatArray =
        error("the estimators of ${settings.kind} steps do not measure here")

    override fun see(step: Int, estimate: Estimate, recorded: FloatArray) = error("a run of ${settings.kind} steps is not resumed here")

    override fun move(state: State, seeds: LongArray, coefficients: FloatArray) = state.apply(seeds, coefficients)
}
