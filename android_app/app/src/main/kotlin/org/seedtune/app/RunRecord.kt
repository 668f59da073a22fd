package org.seedtune.app

import java.io.File
import java.io.IOException
import org.json.JSONObject

/** What the app itself keeps of a run, in `app.json` of its folder: how it was asked for, and what it has cost so far. */
class RunRecord(folder: File) {
    private val file = File(folder, NAME)

    /** How it was asked for; null where nobody knows. */
    val request: Request? get() = fields()?.optString(REQUEST)?.let(Request::read)

    /** Joules that went through the battery while it was made, stops left out; null where the phone does not tell. */
    val joules: Double? get() = fields()?.takeIf { it.has(JOULES) }?.getDouble(JOULES)

    /** Threads that it was begun with. */
    val threads: Int? get() = fields()?.optInt(THREADS, 0)?.takeIf { it > 0 }

    /** Keeps all of it. */
    fun write(request: Request, joules: Double?, threads: Int) {
        val fields = JSONObject().put(REQUEST, request.write()).put(THREADS, threads)
        if (joules != null) fields.put(JOULES, joules)
        val temporary = File(file.parentFile, ".$NAME.partial")
        temporary.writeText(fields.toString())
        if (!temporary.renameTo(file)) throw IOException("cannot rename ${temporary.name}")
    }

    private fun fields(): JSONObject? = readJsonObject(file)

    companion object {
        const val NAME = "app.json"
        private const val REQUEST = "request"
        private const val JOULES = "battery_joules"
        private const val THREADS = "threads"
    }
}
