package org.seedtune.engine.run

import java.io.Closeable
import java.io.File
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.doubleOrNull
import kotlinx.serialization.json.jsonObject
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.reading
import org.seedtune.engine.telemetry.JsonLines
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.tuning.Descended
import org.seedtune.engine.tuning.StepEvent
import org.seedtune.engine.tuning.Taken

/**
 * steps.jsonl: a line a step, with the fields of the Python runtime, and what the lines come to. It is telemetry: a run can be
 * resumed without it.
 */
internal class StepLog(file: File, recordedSteps: Int) : Closeable {
    private val before = upTo(recordedSteps, file)
    private val losses = before.mapNotNullTo(ArrayList()) { it.number("loss") }
    private val probeMs = before.mapNotNullTo(ArrayList()) { it.number("probe_ms") }
    private val secondsBefore = before.lastOrNull()?.number("elapsed_seconds") ?: 0.0
    private val started = System.nanoTime()
    private val lines = JsonLines(file)

    /** The most anonymous memory seen after a step. */
    var peakAnonymousBytes: Long? = null
        private set

    /** Seconds since the run began, the time between a stop and a resume left out. */
    val elapsedSeconds: Double get() = secondsBefore + (System.nanoTime() - started) / 1e9

    val medianProbeMs: Double? get() = probeMs.sorted().let { if (it.isEmpty()) null else (it[it.size / 2] + it[(it.size - 1) / 2]) / 2 }

    /** Mean loss of the first tenth of the steps, and of the last. */
    fun edges(): Pair<Double?, Double?> {
        if (losses.isEmpty()) return null to null
        val edge = maxOf(1, Math.rint(losses.size * EDGE_SHARE).toInt())
        return losses.take(edge).average() to losses.takeLast(edge).average()
    }

    fun write(event: StepEvent) {
        val memory = MemorySample.read()
        peakAnonymousBytes = listOfNotNull(peakAnonymousBytes, memory.rssAnonBytes).maxOrNull()
        val (measured, sides) = measured(event)
        val times = event.times
        losses += event.loss
        probeMs += times.probeMs
        lines.write(
            linkedMapOf(
                "step" to event.step,
                "loss" to event.loss,
                *measured,
                "learning_rate" to event.learningRate,
                "rows" to sides * event.work.computed,
                "tokens" to event.work.computed - event.work.padding,
                "padding_tokens" to event.work.padding,
                "encode_ms" to times.encodeMs,
                "probe_ms" to times.probeMs,
                "update_ms" to times.updateMs,
                "journal_ms" to times.journalMs,
                "total_ms" to times.totalMs,
                "elapsed_seconds" to elapsedSeconds,
                "context_tokens" to event.work.cached - event.work.cachedPadding,
                "context_padding_tokens" to event.work.cachedPadding,
                "vm_rss_bytes" to memory.vmRssBytes,
                "rss_anon_bytes" to memory.rssAnonBytes,
                "rss_file_bytes" to memory.rssFileBytes,
                "vm_hwm_bytes" to memory.vmHwmBytes,
                "rss_anon_peak_bytes" to peakAnonymousBytes,
            ),
        )
    }

    override fun close() = lines.close()

    internal companion object {
        /** Share of the steps whose losses stand for start and end when there are no held-out rows. */
        private const val EDGE_SHARE = 0.1

        /** What a step found, named as in the log, and how many sides of its rows were computed. */
        private fun measured(event: StepEvent): Pair<Array<Pair<String, Any>>, Int> = when (event) {
            is Taken -> arrayOf<Pair<String, Any>>(
                "loss_plus" to event.estimate.lossPlus.single(),
                "loss_minus" to event.estimate.lossMinus.single(),
                "projected_gradient" to event.estimate.projectedGradient.single(),
                "coefficient" to event.coefficients.single(),
            ) to 2
            is Descended -> arrayOf<Pair<String, Any>>("gradient_norm" to event.gradientNorm) to 1
        }

        /** The lines of the first [steps] steps. Later ones, which will be made again, are taken out of [file]. */
        private fun upTo(steps: Int, file: File): List<JsonObject> {
            val (kept, later) = read(file).partition { line -> line.number("step")?.let { it <= steps } != false }
            if (later.isNotEmpty()) writeDurably(file, kept.joinToString("") { JsonText.encode(it) + "\n" }.toByteArray())
            return kept.filter { it.number("step") != null }
        }

        fun read(file: File): List<JsonObject> {
            if (!file.isFile) return emptyList()
            return file.readText().substringBeforeLast('\n', "").split('\n').filter { it.isNotBlank() }.mapNotNull { line ->
                // A line that is none is left out: the run does not need it.
                try {
                    reading(file.path, "this is no step", "delete the line") { parsed(line).jsonObject }
                } catch (_: SeedTuneException) {
                    null
                }
            }
        }

        private fun JsonObject.number(name: String): Double? = (this[name] as? JsonPrimitive)?.doubleOrNull
    }
}
