package org.seedtune.app

import android.content.Intent
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.estimator.EstimatorSettings
import org.seedtune.engine.tuning.optimizer.AdamWSettings
import org.seedtune.engine.tuning.optimizer.MomentumSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings
import org.seedtune.engine.tuning.optimizer.OnlyReplayedSettings
import org.seedtune.engine.tuning.optimizer.OptimizerSettings

/**
 * What to tune, as extras of an Intent, so that adb can say it too:
 *
 *     adb shell am start-foreground-service -n org.seedtune.app/.TuningService -a org.seedtune.app.START \
 *         --es bundle NAME --es train train.jsonl --es eval validation.jsonl --es run NAME --ei steps 100 --ez only_while_charging true --el memory_limit 320000000
 *
 * `--es optimizer momentum` and `--es momentum 0.9` choose how the state moves, `--es estimator gradient` tunes along exact gradients
 * where the bundle has a graph for them. A run that has begun goes on; other settings than its own are refused.
 */
data class Request(
    val bundle: String,
    val train: String,
    val eval: String?,
    val run: String,
    val settings: Settings,
    val onlyWhileCharging: Boolean,
    val memoryLimitBytes: Long? = null,
) {
    fun putInto(intent: Intent): Intent = intent
        .putExtra(BUNDLE, bundle)
        .putExtra(TRAIN, train)
        .putExtra(EVAL, eval)
        .putExtra(RUN, run)
        .putExtra(STEPS, settings.steps)
        .putExtra(BATCH_SIZE, settings.batchSize)
        .putExtra(ESTIMATOR, settings.estimator.kind)
        .putExtra(OPTIMIZER, settings.optimizer.kind)
        .putExtra(LEARNING_RATE, settings.optimizer.learningRate.toString())
        .putExtra(MOMENTUM, (settings.optimizer as? MomentumSettings)?.momentum?.toString())
        .putExtra(SEED, settings.seed.toString())
        .putExtra(ROWS_PER_CALL, settings.rowsPerCall)
        .putExtra(ONLY_WHILE_CHARGING, onlyWhileCharging)
        .putExtra(MEMORY_LIMIT, memoryLimitBytes ?: 0L)

    companion object {
        const val BUNDLE = "bundle"
        const val TRAIN = "train"
        const val EVAL = "eval"
        const val RUN = "run"
        const val STEPS = "steps"
        const val BATCH_SIZE = "batch_size"
        const val ESTIMATOR = "estimator"
        const val OPTIMIZER = "optimizer"
        const val LEARNING_RATE = "learning_rate"
        const val MOMENTUM = "momentum"
        const val SEED = "seed"
        const val ROWS_PER_CALL = "rows_per_call"
        const val ONLY_WHILE_CHARGING = "only_while_charging"
        const val MEMORY_LIMIT = "memory_limit"

        /**
         * The request in [intent], or null when it names no bundle or no rows; numbers that are none are defaults.
         *
         * @throws SeedTuneException it names an estimator or an optimizer that there is none of.
         */
        fun of(intent: Intent): Request? {
            val bundle = intent.getStringExtra(BUNDLE) ?: return null
            val train = intent.getStringExtra(TRAIN) ?: return null
            val default = intent.getStringExtra(ESTIMATOR)?.let { Settings.by(EstimatorSettings.named(it)) } ?: Settings()
            val settings = default.copy(
                steps = intent.getIntExtra(STEPS, default.steps),
                batchSize = intent.getIntExtra(BATCH_SIZE, default.batchSize),
                seed = intent.getStringExtra(SEED)?.toLongOrNull() ?: default.seed,
                rowsPerCall = intent.getIntExtra(ROWS_PER_CALL, default.rowsPerCall),
                optimizer = optimizer(intent, default.optimizer.kind),
            )
            val run = intent.getStringExtra(RUN) ?: "$bundle-${train.removeSuffix(".jsonl")}"
            val limit = intent.getLongExtra(MEMORY_LIMIT, 0L).takeIf { it > 0 }
            return Request(bundle, train, intent.getStringExtra(EVAL), run, settings, intent.getBooleanExtra(ONLY_WHILE_CHARGING, false), limit)
        }

        private fun optimizer(intent: Intent, kind: String): OptimizerSettings {
            val named = OptimizerSettings.named(intent.getStringExtra(OPTIMIZER) ?: kind)
            val learningRate = intent.getStringExtra(LEARNING_RATE)?.toDoubleOrNull() ?: named.learningRate
            return when (named) {
                is NormalisedSettings -> named.copy(learningRate = learningRate)
                is AdamWSettings -> named.copy(learningRate = learningRate)
                is MomentumSettings ->
                    named.copy(learningRate = learningRate, momentum = intent.getStringExtra(MOMENTUM)?.toDoubleOrNull() ?: named.momentum)
                is OnlyReplayedSettings -> error("${named.kind} is no optimizer of runs that are made here")
            }
        }
    }
}
