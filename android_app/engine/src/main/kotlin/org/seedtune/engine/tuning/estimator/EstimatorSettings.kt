package org.seedtune.engine.tuning.estimator

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.journal.RecordKind
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.tuning.Recorded
import org.seedtune.engine.tuning.optimizer.MomentumSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings

/** How a run measures the slope of the loss: a closed union, of which files name one by its [kind], and can name no other. */
sealed class EstimatorSettings {
    /** The name in files. */
    abstract val kind: String

    /** The graph that it runs. */
    internal abstract val graph: String

    /** As long as the state, that a step takes at most. */
    internal abstract val vectors: Int

    /** K, the records of a step in the journal. */
    internal abstract val probes: Int

    /** What the journal records of a step. */
    internal abstract val record: RecordKind

    /** Kinds of the optimizers that its measurements are for, the default first. */
    internal abstract val optimizers: List<String>

    /** Examples a step, unless others are asked for. */
    internal abstract val batchSize: Int

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
            GradientSettings.KIND to { GradientSettings },
        )

        // Those of which this engine makes steps.
        private val DEFAULTS = mapOf<String, () -> EstimatorSettings>(
            TwoSidedSettings.KIND to { TwoSidedSettings() },
            GradientSettings.KIND to { GradientSettings },
        )

        /**
         * The estimator of this [kind] with the values that it has unless others are given.
         *
         * @throws SeedTuneException there is none of that kind.
         */
        fun named(kind: String): EstimatorSettings =
            DEFAULTS.getValue(Recorded.requireKnown("$WORD.${Recorded.KIND}", kind, DEFAULTS.keys))()

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

/** One that measures along noise. */
sealed class ProbeEstimatorSettings : EstimatorSettings() {
    override val graph: String get() = StagePlan.PROBE
    override val vectors: Int get() = 0
    override val record: RecordKind get() = RecordKind.PROBE
    override val optimizers: List<String> get() = listOf(NormalisedSettings.KIND, MomentumSettings.KIND)
    override val batchSize: Int get() = BATCH_SIZE

    /** The estimator over the graphs that [graphs] opens; the caller closes it. */
    internal abstract fun build(graphs: Graphs): Estimator

    /** The estimate that recorded losses [K, groups] stand for; the same when measured and when read back. */
    internal abstract fun estimate(lossPlus: FloatArray, lossMinus: FloatArray, groups: Int): Estimate

    private companion object {
        private const val BATCH_SIZE = 32
    }
}
