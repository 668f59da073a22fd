package org.seedtune.engine.run

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.noise.Noise

/**
 * What a run is made of, apart from its bundle and data; names, defaults and meaning as in the Python runtime.
 *
 * @property steps updates to make.
 * @property batchSize examples a step.
 * @property learningRate how far a typical step moves every parameter of the state, at the start.
 * @property epsilon half the distance between the two sides of a probe.
 * @property seed of everything random, 32 bits.
 * @property schedule "linear", "cosine" or "constant".
 * @property evalEvery steps between evaluations of the held-out rows.
 * @property rowsPerCall token rows of one call of the probe graph, both sides and padding counted; bounds memory. 0 before a run has
 * begun: as many as its memory limit allows, [ROWS_PER_CALL] without one.
 */
data class Settings(
    val steps: Int = 300,
    val batchSize: Int = 32,
    val learningRate: Double = 3e-2,
    val epsilon: Double = 1e-2,
    val seed: Long = 0,
    val schedule: String = "linear",
    val evalEvery: Int = 50,
    val rowsPerCall: Int = 0,
) {
    /** Tokens of one side that a call may have. */
    val tokensPerCall: Int get() = maxOf(1, rowsPerCall / 2)

    /** @throws SeedTuneException for a value that no run can have. */
    fun check() {
        for ((name, value) in listOf("steps" to steps, "batch_size" to batchSize, "eval_every" to evalEvery)) {
            require(name, value, value >= 1, ">= 1")
        }
        require("rows_per_call", rowsPerCall, rowsPerCall >= 0, ">= 0")
        for ((name, value) in listOf("learning_rate" to learningRate, "epsilon" to epsilon)) {
            require(name, value, value.isFinite() && value > 0, "a finite number above 0")
        }
        require("seed", seed, seed in 0..Noise.WORD_MASK, "0 to ${Noise.WORD_MASK}")
        require("schedule", schedule, schedule in SCHEDULES, SCHEDULES.joinToString())
    }

    private fun require(name: String, value: Any, holds: Boolean, rule: String) {
        if (!holds) throw SeedTuneException("$name is out of range", value = value, rule = rule, remedy = "choose another $name")
    }

    /** Name -> value, as in run.json and the journal's header. */
    fun asMap(): Map<String, JsonPrimitive> = linkedMapOf(
        "steps" to JsonPrimitive(steps),
        "batch_size" to JsonPrimitive(batchSize),
        "learning_rate" to JsonPrimitive(learningRate),
        "epsilon" to JsonPrimitive(epsilon),
        "seed" to JsonPrimitive(seed),
        "schedule" to JsonPrimitive(schedule),
        "eval_every" to JsonPrimitive(evalEvery),
        "rows_per_call" to JsonPrimitive(rowsPerCall),
    )

    companion object {
        const val ROWS_PER_CALL = 1024
        private val SCHEDULES = listOf("linear", "cosine", "constant")

        /**
         * The settings of a journal's header.
         *
         * @throws SeedTuneException they are not settings of this version.
         */
        fun of(recorded: Map<String, JsonPrimitive>): Settings {
            fun text(name: String): String = recorded[name]?.content
                ?: throw SeedTuneException("the run's settings lack $name", rule = "the settings of this version", remedy = "start a new run")
            try {
                return Settings(
                    text("steps").toInt(),
                    text("batch_size").toInt(),
                    text("learning_rate").toDouble(),
                    text("epsilon").toDouble(),
                    text("seed").toLong(),
                    text("schedule"),
                    text("eval_every").toInt(),
                    text("rows_per_call").toInt(),
                ).also { it.check() }
            } catch (error: NumberFormatException) {
                throw SeedTuneException("the run's settings cannot be used (${error.message})", remedy = "start a new run", cause = error)
            }
        }
    }
}
