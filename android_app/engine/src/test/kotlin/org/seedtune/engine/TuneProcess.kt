package org.seedtune.engine

import java.io.File
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.telemetry.MemorySample

/**
 * A run in a process of its own, for tests that kill it and for measurements:
 *
 *     java -cp ... org.seedtune.engine.TuneProcessKt bundle=DIR run=DIR train=FILE [threads=2] [stop=STEP] [steps=300] ...
 *
 * Prints "step K" as each step is made, and one JSON line at the end.
 */
fun main(arguments: Array<String>) {
    val given = arguments.associate { it.substringBefore('=') to it.substringAfter('=') }
    val default = Settings()
    val settings = default.copy(
        steps = given["steps"]?.toInt() ?: default.steps,
        batchSize = given["batch_size"]?.toInt() ?: default.batchSize,
        seed = given["seed"]?.toLong() ?: default.seed,
        evalEvery = given["eval_every"]?.toInt() ?: default.evalEvery,
        rowsPerCall = given["rows_per_call"]?.toInt() ?: default.rowsPerCall,
    )
    val stop = given["stop"]?.toInt() ?: Int.MAX_VALUE
    val milliseconds = ArrayList<Double>()
    SeedTune.open(File(given.getValue("bundle")), given["threads"]?.toInt() ?: 1).use { model ->
        val result = model.tune(File(given.getValue("run")), File(given.getValue("train")), settings, given["eval"]?.let(::File)) { event ->
            if (event is TuningEvent.Step) {
                println("step ${event.step.step}")
                milliseconds += event.step.probeMs + event.step.updateMs
            }
            event !is TuningEvent.Step || event.step.step < stop
        }
        val memory = MemorySample.read()
        println(
            JsonText.encode(
                linkedMapOf(
                    "steps" to result.steps,
                    "interrupted" to result.interrupted,
                    "state_sha256" to result.stateSha256,
                    "step_ms" to milliseconds,
                    "rss_anon_bytes" to memory.rssAnonBytes,
                    "vm_hwm_bytes" to memory.vmHwmBytes,
                ),
            ),
        )
    }
}
