package org.seedtune.engine.tuning.estimator

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.tuning.Recorded

/** How a run measures the slope of the loss: a closed union, of which files name one by its [kind], and can name no other. */
sealed class EstimatorSettings {
    /** The name in files. */
    abstract val kind: String

    /** K, the probes of a step. */
    internal abstract val probes: Int

    /** The estimator over the graphs that [graphs] opens; the caller closes it. */
    internal abstract fun build(graphs: Graphs): Estimator

    /** The estimate that recorded losses [K, groups] stand for; the same when measured and when read back. */
    internal abstract fun estimate(lossPlus: FloatArray, lossMinus: FloatArray, groups: Int): Estimate

    /** @throws SeedTuneException this engine replays the steps of such a run, but makes none. */
    internal open fun requireMade() = Unit

    /** Name -> value in the order of files, [kind] left out. */
    internal abstract fun values(): Map<String, JsonPrimitive>

    /** @throws SeedTuneException for a value that no run can have. */
    internal abstract fun check()

    internal fun checkEpsilon(epsilon: Double) =
        Recorded.require("$WORD.epsilon", epsilon, epsilon.isFinite() && epsilon > 0, "a finite number above 0")

    companion object {
        internal const val WORD = "estimator"

        // Functions that name a method when they are called: its class needs this one to be made first.
        private val READERS = mapOf<String, (Recorded) -> EstimatorSettings>(
            TwoSidedSettings.KIND to { TwoSidedSettings.of(it) },
            GaussNewtonSettings.KIND to { GaussNewtonSettings.of(it) },
            OneSidedSettings.KIND to { OneSidedSettings.of(it) },
        )

        /**
         * The settings in a journal's header.
         *
         * @throws SeedTuneException they are not settings of this version.
         */
        internal fun of(recorded: Recorded): EstimatorSettings = READERS.getValue(recorded.kind(READERS.keys))(recorded)

        /** What is said of a run whose steps this engine replays, but does not make. */
        internal fun notMadeHere(key: String, value: String, rule: String) = SeedTuneException(
            "this engine replays the steps of such a run, but makes none",
            value = "$key $value",
            rule = rule,
            remedy = "go on with the run where seedtune runs in Python, or start a new run with the estimator ${TwoSidedSettings.KIND}",
        )
    }
}
