package org.seedtune.engine

import java.io.File
import kotlin.system.exitProcess
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.tuning.estimator.EstimatorSettings
import org.seedtune.engine.tuning.optimizer.OptimizerSettings

/**
 * `seedtune run` on this engine, in a process of its own, for tests that kill it and for measurements; with those of its options
 * that are about the run itself, and `--stop-after STEP`:
 *
 *     java -cp ... org.seedtune.engine.TuneProcessKt BUNDLE --out DIR --train FILE [--threads 2] [--memory-limit BYTES] ...
 *
 * Prints "step K" as each step is made, and one JSON line at the end. What the user can put right ends it with status 2.
 */
fun main(arguments: Array<String>) {
    val bundle = File(arguments.first())
    val words = arguments.drop(1).flatMap { if (it.startsWith("--") && '=' in it) it.split('=', limit = 2) else listOf(it) }
    val given = words.chunked(2).associate { (name, value) -> name.removePrefix("--") to value }
    val stop = given["stop-after"]?.toInt() ?: Int.MAX_VALUE
    try {
        val settings = settings(given - OWN_OPTIONS)
        SeedTune.open(bundle, given["threads"]?.toInt() ?: 1, given["memory-limit"]?.toLong()).use { model ->
            val result = model.tune(File(given.getValue("out")), File(given.getValue("train")), settings, given["eval"]?.let(::File)) { event ->
                if (event is TuningEvent.KeepingToLimit) {
                    System.err.println("memory limit: ${event.rowsPerCall} token rows a call, expects ${event.expectedBytes / 1_000_000} MB")
                }
                if (event is TuningEvent.Step) println("step ${event.step.step}")
                event !is TuningEvent.Step || event.step.step < stop
            }
            val memory = MemorySample.read()
            println(
                JsonText.encode(
                    linkedMapOf(
                        "steps" to result.steps,
                        "interrupted" to result.interrupted,
                        "state_sha256" to result.stateSha256,
                        "rss_anon_bytes" to memory.rssAnonBytes,
                        "vm_hwm_bytes" to memory.vmHwmBytes,
                    ),
                ),
            )
        }
    } catch (error: SeedTuneException) {
        System.err.println(error.message)
        exitProcess(2)
    }
}

/** Options that are not settings. */
private val OWN_OPTIONS = setOf("out", "train", "eval", "threads", "memory-limit", "stop-after")

/** The settings that [options] lead to: an option is a setting without its first word, with dashes. */
private fun settings(options: Map<String, String>): Settings {
    val given = options.mapValues { (name, value) -> if (name == "estimator") value.replace('-', '_') else value }
    val estimated = given["estimator"]?.let { Settings.by(EstimatorSettings.named(it)) } ?: Settings()
    val default = given["optimizer"]?.let { estimated.copy(optimizer = OptimizerSettings.named(it)) } ?: estimated
    val recorded = default.asMap().toMutableMap()
    val keys = recorded.keys.associateBy { it.removeSuffix(".kind").substringAfter('.').replace('_', '-') }
    for ((option, value) in given) recorded[requireNotNull(keys[option]) { "unknown: --$option" }] = JsonPrimitive(value)
    return Settings.of(recorded)
}
