package org.seedtune.app

import android.content.SharedPreferences
import java.io.File
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.StoppedException
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent

/**
 * How many threads compute: what was asked for, what the run was begun with, the fastest clusters, or where that is in doubt what three
 * steps of this very bundle took with each candidate.
 *
 * @param kept what was found out before, by bundle.
 * @param trial a folder to try in, which is thrown away.
 */
class ThreadChoice(private val processors: Processors, private val kept: SharedPreferences, private val trial: File) {
    /**
     * @param request the run.
     * @param recorded what the run was begun with, if it was.
     * @param bundle its bundle, whose hash is compared when the run opens it.
     * @param train its rows.
     * @param onEvent told that something is tried; false ends it.
     * @throws StoppedException by [onEvent].
     */
    fun threads(request: Request, recorded: Int?, bundle: File, train: File, limitBytes: Long?, contexts: File, onEvent: (TuningEvent) -> Boolean): Int {
        (request.threads ?: recorded)?.let { return it }
        val candidates = processors.candidates
        if (candidates.size == 1) return candidates.single()
        val key = "threads ${request.bundle} ${File(bundle, Places.MANIFEST).lastModified()}"
        kept.getInt(key, 0).takeIf { it > 0 }?.let { return it }
        val best = try {
            candidates.minByOrNull { stepMs(it, request, bundle, rows(train, request), limitBytes, contexts, onEvent) }!!
        } catch (_: SeedTuneException) {
            // The run itself says what is wrong.
            return candidates.first()
        } finally {
            trial.deleteRecursively()
        }
        kept.edit().putInt(key, best).apply()
        return best
    }

    /** As many rows as a step has: their contexts are computed for each trial. */
    private fun rows(train: File, request: Request): File {
        trial.mkdirs()
        val rows = File(trial, "rows.jsonl")
        train.useLines { lines -> rows.writeText(lines.filter { it.isNotBlank() }.take(request.settings.batchSize).joinToString("\n", postfix = "\n")) }
        return rows
    }

    private fun stepMs(threads: Int, request: Request, bundle: File, rows: File, limitBytes: Long?, contexts: File, onEvent: (TuningEvent) -> Boolean): Double {
        val times = ArrayList<Double>()
        val run = File(trial, "run-$threads")
        SeedTune.open(bundle, threads, limitBytes, PhonePlatform, verifyWeights = false, onEvent = onEvent).use { model ->
            val result = model.tune(run, rows, request.settings.copy(steps = STEPS, start = Settings.ZERO), contexts = contexts) { event ->
                if (event is TuningEvent.Step) times += event.step.times.probeMs
                onEvent(event)
            }
            if (result.interrupted) throw StoppedException()
        }
        return times.sorted()[times.size / 2]
    }

    private companion object {
        const val STEPS = 3
    }
}
