package org.seedtune.app

import java.io.File
import java.io.IOException
import org.json.JSONObject

/**
 * Which run is being made, in a file of the app's own folder: it outlives the process, so that the run goes on, or is offered, after a
 * kill. The system's own memory of an Intent ends after some restarts, and with a restart of the phone.
 */
class Running(places: Places) {
    private val file = File(places.own, "running.json")

    /** The name of a run that was being made when the process ended; null if none was. */
    val run: String? get() = fields()?.optString(RUN)?.takeIf { it.isNotEmpty() }

    /** How often it was begun again by itself without a step in between. */
    val attempts: Int get() = fields()?.optInt(ATTEMPTS) ?: 0

    /** When it was begun, or begun again, in milliseconds since 1970; 0 if none was. */
    val sinceMs: Long get() = if (file.isFile) file.lastModified() else 0

    /** [run] is being made from now on. */
    fun begin(run: String, attempts: Int = 0) {
        try {
            file.writeText(JSONObject().put(RUN, run).put(ATTEMPTS, attempts).toString())
        } catch (_: IOException) {
            // Full storage: the run says so itself.
        }
    }

    /** Nothing is being made any more. */
    fun end() {
        file.delete()
    }

    private fun fields(): JSONObject? = readJsonObject(file)

    private companion object {
        const val RUN = "run"
        const val ATTEMPTS = "attempts"
    }
}
