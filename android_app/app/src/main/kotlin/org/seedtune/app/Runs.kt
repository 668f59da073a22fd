package org.seedtune.app

import java.io.File
import java.io.IOException
import java.io.OutputStream
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.archive.ZipFolder
import org.seedtune.engine.run.RunSummary

/**
 * A run in the list.
 *
 * @property request how to go on with it; null where nobody knows.
 * @property summary what it came to; null before its first step.
 * @property problem why its folder cannot be read; null if it can.
 */
class RunEntry(val name: String, val changedMs: Long, val request: Request?, val summary: RunSummary?, val joules: Double?, val problem: Problem?) {
    /** Whether there is something left to do. */
    val canGoOn: Boolean get() = problem == null && request != null && summary?.isWhole != true
}

/** The runs that are on the phone. */
class Runs(private val places: Places) {
    /** All of them, the latest first. Reads files: not for the main thread. */
    fun list(): List<RunEntry> = places.runs.map(::entry).sortedByDescending { it.changedMs }

    /** The run [name]. */
    fun entry(name: String): RunEntry {
        val folder = places.run(name)
        val record = RunRecord(folder)
        val changed = File(folder, "journal.bin").lastModified().takeIf { it > 0 } ?: folder.lastModified()
        return try {
            RunEntry(name, changed, Request.of(folder), if (RunSummary.isBegun(folder)) RunSummary.read(folder) else null, record.joules, null)
        } catch (error: SeedTuneException) {
            RunEntry(name, changed, null, null, null, Problem.of(error, places).copy(kind = ProblemKind.RUN))
        }
    }

    /** A name for a new run of [bundle] on [train]. */
    fun newName(bundle: String, train: String): String = places.unused("runs", Request.nameOf(bundle, train)).name

    /** Deletes the run [name], wholly or not at all as far as others see. */
    fun delete(name: String) {
        val folder = places.run(name)
        val hidden = File(folder.parentFile, ".$name${Places.PARTIAL}")
        hidden.deleteRecursively()
        if (!folder.renameTo(hidden)) throw IOException("${folder.name} cannot be deleted")
        hidden.deleteRecursively()
    }

    /** Writes the run [name] as a zip, without the caches of its rows' contexts: they are large, as private as the text, and made again. */
    fun pack(name: String, output: OutputStream) = ZipFolder.write(places.run(name), output) { !it.startsWith("contexts/") }
}
