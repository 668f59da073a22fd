package org.seedtune.engine.stages

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.telemetry.MemorySample

/** Memory and files as a platform has them: what a memory limit needs and the JVM has no single way to do. */
interface Platform {
    /** Anonymous memory outside the heap that starts on a page. */
    fun pages(sizeBytes: Int): ByteBuffer

    /** Gives memory of [pages] back, which nobody uses any more; where the collector does that, nothing. */
    fun release(pages: ByteBuffer) = Unit

    /**
     * A file that is read past the page cache, where the file system can.
     *
     * @throws IOException it cannot be opened.
     */
    fun open(file: File): PageFile

    /** What the process holds now, pages of files included, as a memory limit counts it; 0 where the system does not tell. */
    fun heldBytes(): Long = MemorySample.read().let { it.vmRssBytes ?: it.vmHwmBytes ?: 0 }

    companion object {
        const val PAGE_BYTES = 4096

        /** [sizeBytes] in whole pages. */
        fun wholePages(sizeBytes: Int): Int = (sizeBytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES
    }
}

/** An open file of which whole pages are read. */
interface PageFile : Closeable {
    /**
     * Reads into [into], which lies on pages, from byte [start], which is one's beginning; moves the position of [into].
     *
     * @return bytes read, as many as there were; fewer than [into] has room for, or -1, at the end of the file.
     * @throws IOException the storage fails.
     */
    fun read(start: Long, into: ByteBuffer): Int
}

/** The weights file at [path], which nobody may write to while it is open. */
internal class WeightsFile(platform: Platform, private val path: File) : Closeable {
    private val file = try {
        platform.open(path)
    } catch (error: IOException) {
        throw unreadable(error)
    }
    private val identity = stamp()

    /** Bytes read so far. */
    var bytesRead = 0L
        private set

    /** Fills [into], whole pages, from byte [start]; what lies behind the end of the file stays as it is. */
    fun read(start: Long, into: ByteBuffer) {
        val end = minOf(start + into.remaining(), identity.first)
        var at = start
        while (at < end) {
            val window = into.duplicate()
            window.limit(minOf(into.limit(), into.position() + READ_BYTES))
            val count = try {
                file.read(at, window)
            } catch (error: IOException) {
                throw unreadable(error)
            }
            if (count <= 0) throw changed()
            into.position(into.position() + count)
            at += count
            bytesRead += count
            if (at < end && count % Platform.PAGE_BYTES != 0) throw changed()
        }
    }

    /** @throws SeedTuneException the file was written to since it was opened. */
    fun requireUnchanged() {
        if (stamp() != identity) throw changed()
    }

    override fun close() = file.close()

    private fun stamp() = path.length() to path.lastModified()

    private fun unreadable(error: IOException) =
        SeedTuneException("the weights cannot be read (${error.message})", path.path, remedy = "check the storage", cause = error)

    private fun changed() = SeedTuneException(
        "the weights file was changed while it was in use", path.path, rule = "nobody writes to a bundle", remedy = "copy or export the bundle again, then start anew",
    )

    private companion object {
        /** Large enough for the storage to be busy, small enough to end soon. */
        const val READ_BYTES = 8 shl 20
    }
}
