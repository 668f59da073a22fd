package org.seedtune.engine.run

import java.io.File
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.noise.Noise
import org.seedtune.engine.tuning.Recorded
import org.seedtune.engine.tuning.estimator.EstimatorSettings
import org.seedtune.engine.tuning.estimator.TwoSidedSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings
import org.seedtune.engine.tuning.optimizer.OptimizerSettings

/**
 * What a run is made of, apart from its bundle and data; names, defaults and meaning as in the Python runtime.
 *
 * @property steps updates to make.
 * @property batchSize examples a step.
 * @property seed of everything random, 32 bits.
 * @property evalEvery steps between evaluations of the held-out rows.
 * @property rowsPerCall token rows of one call of the probe graph, both sides and padding counted; bounds memory. 0 before a run has
 * begun: as many as its memory limit allows, [ROWS_PER_CALL] without one.
 * @property start where the first step starts: `linear-probe` of the frozen hidden states, where there are two training rows of each
 * label; or `zero`, the untouched model.
 * @property estimator how the slope of the loss is measured.
 * @property optimizer how the state moves.
 */
data class Settings(
    val steps: Int = 300,
    val batchSize: Int = 32,
    val seed: Long = 0,
    val evalEvery: Int = 50,
    val rowsPerCall: Int = 0,
    val start: String = LINEAR_PROBE,
    val estimator: EstimatorSettings = TwoSidedSettings(),
    val optimizer: OptimizerSettings = NormalisedSettings(),
) {
    /** Tokens of one side that a call may have. */
    val tokensPerCall: Int get() = maxOf(1, rowsPerCall / 2)

    /** @throws SeedTuneException for a value that no run can have. */
    fun check() {
        for ((name, value) in listOf("steps" to steps, "batch_size" to batchSize, "eval_every" to evalEvery)) {
            Recorded.require(name, value, value >= 1, ">= 1")
        }
        Recorded.require("rows_per_call", rowsPerCall, rowsPerCall >= 0, ">= 0")
        Recorded.require("start", start, start in STARTS, STARTS.joinToString())
        Recorded.require("seed", seed, seed in 0..Noise.WORD_MASK, "0 to ${Noise.WORD_MASK}")
        estimator.check()
        optimizer.check()
        if (optimizer.kind in estimator.optimizers) return
        throw SeedTuneException(
            "this optimizer does not go with this estimator",
            value = "${estimator.kind} and ${optimizer.kind}",
            rule = estimator.optimizers.joinToString(" or "),
            remedy = "choose one of these, or another estimator",
        )
    }

    /** @throws SeedTuneException this engine replays the steps of such a run, but makes none. */
    internal fun requireMade() = estimator.requireMade()

    /** Name -> value, as in run.json and the journal's header. */
    fun asMap(): Map<String, JsonPrimitive> = linkedMapOf(
        "steps" to JsonPrimitive(steps),
        "batch_size" to JsonPrimitive(batchSize),
        "seed" to JsonPrimitive(seed),
        "eval_every" to JsonPrimitive(evalEvery),
        "rows_per_call" to JsonPrimitive(rowsPerCall),
        "start" to JsonPrimitive(start),
    ) + flat(EstimatorSettings.WORD, estimator.kind, estimator.values()) + flat(OptimizerSettings.WORD, optimizer.kind, optimizer.values())

    private fun flat(word: String, kind: String, values: Map<String, JsonPrimitive>) =
        (linkedMapOf(Recorded.KIND to JsonPrimitive(kind)) + values).mapKeys { "$word.${it.key}" }

    companion object {
        const val ROWS_PER_CALL = 1024
        const val LINEAR_PROBE = "linear-probe"
        const val ZERO = "zero"
        private val STARTS = listOf(LINEAR_PROBE, ZERO)

        /** Those of a run by [estimator], with the optimizer and the batch size that go with it. */
        fun by(estimator: EstimatorSettings) =
            Settings(batchSize = estimator.batchSize, estimator = estimator, optimizer = OptimizerSettings.named(estimator.optimizers.first()))

        /**
         * The settings of a journal's header.
         *
         * @param file the journal's, for what is said of it.
         * @throws SeedTuneException they are not settings of this version: a number that is none or out of range, a kind that is not
         * known, one too few or one too many.
         */
        fun of(recorded: Map<String, JsonPrimitive>, file: File? = null): Settings =
            try {
                read(recorded)
            } catch (error: SeedTuneException) {
                throw if (file == null) error else error.at(file.path)
            }

        private fun read(recorded: Map<String, JsonPrimitive>): Settings {
            val read = Recorded(recorded)
            val settings = Settings(
                read.int("steps"),
                read.int("batch_size"),
                read.long("seed"),
                read.int("eval_every"),
                read.int("rows_per_call"),
                read.text("start"),
                EstimatorSettings.of(read.of(EstimatorSettings.WORD)),
                OptimizerSettings.of(read.of(OptimizerSettings.WORD)),
            )
            settings.check()
            // What a setting of a later version does would be left out of a replay without a word.
            val strange = recorded.keys - settings.asMap().keys
            if (strange.isEmpty()) return settings
            throw SeedTuneException(
                "the run has settings that this version does not know",
                value = strange.joinToString(),
                rule = settings.asMap().keys.joinToString(),
                remedy = "update SeedTune, or start a new run",
            )
        }
    }
}
