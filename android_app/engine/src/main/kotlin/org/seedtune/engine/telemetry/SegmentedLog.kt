package org.seedtune.engine.telemetry

import java.io.Closeable
import java.io.File
import java.util.Locale
import org.seedtune.engine.SeedTuneException

/**
 * JSON lines in files of bounded size, `NAME-000001.jsonl` and so on, of which a reader may delete every one but the newest when it
 * has read it. When [segments] of them are unread, new lines are dropped and counted, and the unread ones stay: the count is in
 * `lines_dropped` of the next line that is written.
 *
 * @param segmentBytes of a file; a line that would reach beyond begins the next one.
 * @throws SeedTuneException a file cannot be opened or written.
 */
class SegmentedLog(
    private val folder: File,
    private val name: String,
    private val segmentBytes: Long = 1L shl 20,
    private val segments: Int = 16,
) : Closeable {
    private var number = numbers().lastOrNull() ?: 1
    private var current = JsonLines(file(number))

    /** Lines that found no room since the last one that did. */
    var dropped = 0L
        private set

    /** Appends [record], or drops it. */
    fun write(record: Map<String, Any?>) {
        if (file(number).length() >= segmentBytes) {
            if (numbers().size >= segments) {
                dropped++
                return
            }
            current.close()
            number++
            current = JsonLines(file(number))
        }
        current.write(if (dropped == 0L) record else record + ("lines_dropped" to dropped))
        dropped = 0
    }

    override fun close() = current.close()

    private fun file(number: Int) = File(folder, "$name-%06d.jsonl".format(Locale.ROOT, number))

    private fun numbers(): List<Int> {
        val pattern = Regex(Regex.escape(name) + "-([0-9]{6})\\.jsonl")
        return folder.list().orEmpty().mapNotNull { pattern.matchEntire(it)?.groupValues?.get(1)?.toInt() }.sorted()
    }
}
