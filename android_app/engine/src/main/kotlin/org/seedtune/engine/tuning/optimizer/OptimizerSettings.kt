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

    companion object {
        internal const val WORD = "optimizer"

        // Functions that name a method when they are called: its class needs this one to be made first.
        private val READERS = mapOf<String, (Recorded) -> OptimizerSettings>(
            NormalisedSettings.KIND to { NormalisedSettings.of(it) },
            MomentumSettings.KIND to { MomentumSettings.of(it) },
            AdamWSettings.KIND to { AdamWSettings.of(it) },
        )
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
    /** The optimizer of a run of [steps] steps; the caller closes it. */
    internal abstract fun build(steps: Int): Optimizer
}
