package org.seedtune.engine.tuning.optimizer

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.tuning.Recorded

/** How a run moves its state: a closed union, of which files name one by its [kind], and can name no other. */
sealed class OptimizerSettings {
    /** The name in files. */
    abstract val kind: String

    /** How far a typical step moves every parameter of the state, at the start. */
    abstract val learningRate: Double

    /** As long as the state, that the optimizer keeps. */
    internal abstract val vectors: Int

    /** Name -> value in the order of files, [kind] left out. */
    internal abstract fun values(): Map<String, JsonPrimitive>

    /** @throws SeedTuneException for a value that no run can have. */
    internal abstract fun check()

    internal fun checkShared(schedule: String) {
        Recorded.require("$WORD.learning_rate", learningRate, learningRate.isFinite() && learningRate > 0, "a finite number above 0")
        Recorded.require("$WORD.schedule", schedule, schedule in Schedule.NAMES, Schedule.NAMES.joinToString())
    }

    companion object {
        internal const val WORD = "optimizer"
        internal const val AVERAGE = "average"

        // Functions that name a method when they are called: its class needs this one to be made first.
        private val READERS = mapOf<String, (Recorded) -> OptimizerSettings>(
            NormalisedSettings.KIND to { NormalisedSettings.of(it) },
            MomentumSettings.KIND to { MomentumSettings.of(it) },
            StandardisedSettings.KIND to { StandardisedSettings.of(it) },
            DampedSettings.KIND to { DampedSettings.of(it) },
            AdamWSettings.KIND to { AdamWSettings.of(it) },
        )

        // Those of which this engine makes steps.
        private val DEFAULTS = mapOf<String, () -> OptimizerSettings>(
            NormalisedSettings.KIND to { NormalisedSettings() },
            MomentumSettings.KIND to { MomentumSettings() },
            AdamWSettings.KIND to { AdamWSettings() },
        )

        /**
         * The optimizer of this [kind] with the values that it has unless others are given.
         *
         * @throws SeedTuneException there is none of that kind.
         */
        fun named(kind: String): OptimizerSettings =
            DEFAULTS.getValue(Recorded.requireKnown("$WORD.${Recorded.KIND}", kind, DEFAULTS.keys))()

        /**
         * The settings in a journal's header.
         *
         * @throws SeedTuneException they are not settings of this version.
         */
        internal fun of(recorded: Recorded): OptimizerSettings = READERS.getValue(recorded.kind(READERS.keys))(recorded)
    }
}

/** One that moves along noise. */
sealed class ProbeOptimizerSettings : OptimizerSettings() {
    /** Share of the steps, the last ones, whose mean state is the result; 0 for the last state. */
    abstract val average: Double

    /** As long as the state, that the optimizer keeps beside a mean of states. */
    internal abstract val ownVectors: Int

    override val vectors: Int get() = ownVectors + if (average > 0) 1 else 0

    /** The optimizer of a run of [steps] steps of [probes] records; the caller closes it. */
    internal fun build(steps: Int, probes: Int = 1): Optimizer =
        plain(steps).let { if (average > 0) Averaged(it, average, steps, probes) else it }

    /** The optimizer without a mean of states. */
    internal abstract fun plain(steps: Int): Optimizer

    internal fun checkAverage() = Recorded.require("$WORD.$AVERAGE", average, average in 0.0..1.0, "0 to 1")
}
