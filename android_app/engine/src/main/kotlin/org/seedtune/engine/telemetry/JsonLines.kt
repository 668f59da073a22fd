package org.seedtune.engine.telemetry

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.JsonText

/**
 * Appends JSON lines to [file]: one record, one line, one write. The kernel has the line when [write] returns, so a killed
 * process loses at most the line in flight. A line that a kill cut short is removed when the file is opened again.
 *
 * @throws SeedTuneException the file cannot be opened or written.
 */
internal class JsonLines(private val file: File) : Closeable {
    private val out: RandomAccessFile = attempt { RandomAccessFile(file, "rw").also(::mendTail) }

    /** Appends [record]. */
    fun write(record: Map<String, Any?>) {
        val before = attempt { out.filePointer }
        try {
            out.write((JsonText.encode(record) + "\n").toByteArray())
        } catch (error: IOException) {
            runCatching { out.setLength(before) }
            throw failure(error)
        }
    }

    override fun close() = out.close()

    private fun mendTail(opened: RandomAccessFile) {
        val length = opened.length()
        var end = length
        while (end > 0) {
            opened.seek(end - 1)
            if (opened.read() == '\n'.code) break
            end--
        }
        if (end < length) opened.setLength(end)
        opened.seek(end)
    }

    private fun <T> attempt(action: () -> T): T =
        try {
            action()
        } catch (error: IOException) {
            throw failure(error)
        }

    private fun failure(error: IOException) =
        SeedTuneException("the log cannot be written (${error.message})", file.path, remedy = "free storage, then continue the run", cause = error)
}
