package org.seedtune.app

import android.content.Intent
import java.io.File
import org.json.JSONException
import org.json.JSONObject
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.run.RunSummary
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
 *         --es bundle NAME --es train train.jsonl --es eval validation.jsonl --es run NAME --ei steps 100
 *
 * Actions ([TuningService]):
 *
 * | action | what it does |
 * |---|---|
 * | `org.seedtune.app.START` | tunes; with `run` and nothing else it goes on with that run as it was begun |
 * | `org.seedtune.app.STOP` | ends the run, or an import, within the call that is being made; the run goes on with START |
 * | `org.seedtune.app.PAUSE`, `org.seedtune.app.RESUME` | waits after what is being computed, and goes on |
 *
 * Extras of START, by the option of `am` that their type takes:
 *
 * | option, name | default | what |
 * |---|---|---|
 * | `--es bundle`, `--es train` | | names in `bundles` and `data` |
 * | `--es eval` | none | held-out rows, likewise |
 * | `--es run` | bundle-rows | name in `runs`; a run that has begun goes on, other settings than its own are refused |
 * | `--ei steps`, `--ei batch_size`, `--es seed`, `--ei rows_per_call` | as in Python | settings of the run |
 * | `--es estimator` | `two_sided` | or `gradient`, where the bundle has a graph for it |
 * | `--es optimizer`, `--es learning_rate`, `--es momentum` | `normalised` | or `momentum`; numbers as text |
 * | `--ez only_while_charging` | false | waits while nothing is plugged in |
 * | `--el memory_limit` | half of what is available, if the weights take more | bytes of everything that the process holds |
 * | `--ei threads` | the fastest processors ([Processors]) | of ONNX Runtime |
 *
 * @property threads null for the app's own choice.
 */
data class Request(
    val bundle: String,
    val train: String,
    val eval: String?,
    val run: String,
    val settings: Settings,
    val onlyWhileCharging: Boolean,
    val memoryLimitBytes: Long? = null,
    val threads: Int? = null,
) {
    private fun extras(): Map<String, Any?> = linkedMapOf(
        BUNDLE to bundle,
        TRAIN to train,
        EVAL to eval,
        RUN to run,
        STEPS to settings.steps,
        BATCH_SIZE to settings.batchSize,
        ESTIMATOR to settings.estimator.kind,
        OPTIMIZER to settings.optimizer.kind,
        LEARNING_RATE to settings.optimizer.learningRate.toString(),
        MOMENTUM to (settings.optimizer as? MomentumSettings)?.momentum?.toString(),
        SEED to settings.seed.toString(),
        ROWS_PER_CALL to settings.rowsPerCall,
        ONLY_WHILE_CHARGING to onlyWhileCharging,
        MEMORY_LIMIT to (memoryLimitBytes ?: 0L),
        THREADS to (threads ?: 0),
    )

    fun putInto(intent: Intent): Intent {
        for ((name, value) in extras()) {
            when (value) {
                is Int -> intent.putExtra(name, value)
                is Long -> intent.putExtra(name, value)
                is Boolean -> intent.putExtra(name, value)
                else -> intent.putExtra(name, value as String?)
            }
        }
        return intent
    }

    /** The same as text, for [read]. */
    fun write(): String = JSONObject(extras().filterValues { it != null }).toString()

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
        const val THREADS = "threads"

        /** An Intent's extras, or those of a text. */
        private interface Extras {
            fun text(name: String): String?

            fun int(name: String, default: Int): Int

            fun long(name: String): Long

            fun boolean(name: String): Boolean
        }

        /**
         * The request in [intent], or null when it names no bundle or no rows; numbers that are none are defaults.
         *
         * @throws SeedTuneException it names an estimator or an optimizer that there is none of.
         */
        fun of(intent: Intent): Request? = of(object : Extras {
            override fun text(name: String) = intent.getStringExtra(name)

            override fun int(name: String, default: Int) = intent.getIntExtra(name, default)

            override fun long(name: String) = intent.getLongExtra(name, 0)

            override fun boolean(name: String) = intent.getBooleanExtra(name, false)
        })

        /** What [write] wrote; null where it is something else. */
        fun read(text: String): Request? =
            try {
                val fields = JSONObject(text)
                of(object : Extras {
                    override fun text(name: String) = if (fields.has(name)) fields.getString(name) else null

                    override fun int(name: String, default: Int) = fields.optInt(name, default)

                    override fun long(name: String) = fields.optLong(name, 0)

                    override fun boolean(name: String) = fields.optBoolean(name, false)
                })
            } catch (_: JSONException) {
                null
            } catch (_: SeedTuneException) {
                null
            }

        /**
         * The request that goes on with the run in [folder] as it was begun: by the app's own record, by what the run says of itself
         * where it was made elsewhere, or null where neither is there.
         *
         * @throws SeedTuneException the folder is damaged.
         */
        fun of(folder: File): Request? {
            val recorded = RunRecord(folder).request?.copy(run = folder.name)
            if (!RunSummary.isBegun(folder)) return recorded
            val summary = RunSummary.read(folder)
            val own = Request(summary.bundle.name, summary.train.name, summary.heldOut?.name, folder.name, summary.settings, false)
            return own.copy(
                onlyWhileCharging = recorded?.onlyWhileCharging ?: false, memoryLimitBytes = recorded?.memoryLimitBytes, threads = recorded?.threads,
            )
        }

        private fun of(extras: Extras): Request? {
            val bundle = extras.text(BUNDLE) ?: return null
            val train = extras.text(TRAIN) ?: return null
            val default = extras.text(ESTIMATOR)?.let { Settings.by(EstimatorSettings.named(it)) } ?: Settings()
            val settings = default.copy(
                steps = extras.int(STEPS, default.steps),
                batchSize = extras.int(BATCH_SIZE, default.batchSize),
                seed = extras.text(SEED)?.toLongOrNull() ?: default.seed,
                rowsPerCall = extras.int(ROWS_PER_CALL, default.rowsPerCall),
                optimizer = optimizer(extras, default.optimizer.kind),
            )
            val run = extras.text(RUN) ?: nameOf(bundle, train)
            val limit = extras.long(MEMORY_LIMIT).takeIf { it > 0 }
            val threads = extras.int(THREADS, 0).takeIf { it > 0 }
            return Request(bundle, train, extras.text(EVAL), run, settings, extras.boolean(ONLY_WHILE_CHARGING), limit, threads)
        }

        /** The name of a run of [bundle] on [train]. */
        fun nameOf(bundle: String, train: String) = "$bundle-${train.removeSuffix(Places.ROWS)}"

        private fun optimizer(extras: Extras, kind: String): OptimizerSettings {
            val named = OptimizerSettings.named(extras.text(OPTIMIZER) ?: kind)
            val learningRate = extras.text(LEARNING_RATE)?.toDoubleOrNull() ?: named.learningRate
            return when (named) {
                is NormalisedSettings -> named.copy(learningRate = learningRate)
                is AdamWSettings -> named.copy(learningRate = learningRate)
                is MomentumSettings -> named.copy(learningRate = learningRate, momentum = extras.text(MOMENTUM)?.toDoubleOrNull() ?: named.momentum)
                is OnlyReplayedSettings -> error("${named.kind} is no optimizer of runs that are made here")
            }
        }
    }
}
