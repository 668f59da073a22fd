package org.seedtune.engine.journal

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.StandardOpenOption
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.writeDurably

/**
 * The journal in [file].
 *
 * @throws SeedTuneException it is missing or damaged; a torn last record is not damage.
 */
fun readJournal(file: File): Journal {
    val raw = try {
        file.readBytes()
    } catch (error: IOException) {
        throw SeedTuneException("the journal cannot be read (${error.message})", file.path, cause = error)
    }
    return JournalFormat.decode(raw, file.path)
}

/** Appends records; each is on the storage when [append] returns, and survives a power cut. */
class JournalWriter private constructor(
    private val file: File,
    private val channel: FileChannel,
    private var checksum: Int,
    private var wholeBytes: Long,
    count: Int,
) : Closeable {
    /** Records in the journal. */
    var count: Int = count
        private set

    /**
     * Appends [record].
     *
     * @throws SeedTuneException the storage is full; the journal then ends with the record before.
     */
    fun append(record: Record) {
        val raw = JournalFormat.encodeRecord(record, checksum)
        write(raw)
        checksum = lastWord(raw)
        count++
    }

    private fun write(raw: ByteArray) {
        try {
            val buffer = ByteBuffer.wrap(raw)
            while (buffer.hasRemaining()) channel.write(buffer)
            channel.force(true)
            wholeBytes += raw.size
        } catch (error: IOException) {
            // A later record must not land behind a torn one. Where even this fails, resuming cuts it off.
            runCatching { channel.truncate(wholeBytes) }
            throw SeedTuneException(
                "the journal cannot be written (${error.message})",
                file.path,
                "$count records are safe",
                remedy = "free storage, then continue the run",
                cause = error,
            )
        }
    }

    override fun close() = channel.close()

    companion object {
        /**
         * Starts a new journal, which is there with its whole header or not at all.
         *
         * @throws SeedTuneException the file exists or cannot be written.
         */
        fun create(file: File, header: Header): JournalWriter {
            if (file.exists()) throw SeedTuneException("the journal cannot be created (it exists)", file.path)
            val raw = JournalFormat.encodeHeader(header)
            writeDurably(file, raw)
            val channel = open(file, "appended to", StandardOpenOption.WRITE, StandardOpenOption.APPEND)
            return JournalWriter(file, channel, lastWord(raw), raw.size.toLong(), 0)
        }

        /**
         * Goes on with [journal], just read from [file]; a torn last record is cut off.
         *
         * @throws SeedTuneException the file cannot be written.
         */
        fun resume(file: File, journal: Journal): JournalWriter {
            val channel = open(file, "appended to", StandardOpenOption.WRITE)
            channel.truncate(journal.wholeBytes)
            channel.position(journal.wholeBytes)
            return JournalWriter(file, channel, journal.checksum, journal.wholeBytes, journal.records.size)
        }

        private fun open(file: File, verb: String, vararg options: StandardOpenOption): FileChannel =
            try {
                FileChannel.open(file.toPath(), *options)
            } catch (error: IOException) {
                throw SeedTuneException("the journal cannot be $verb (${error.message})", file.path, cause = error)
            }

        private fun lastWord(raw: ByteArray): Int =
            (0 until Int.SIZE_BYTES).fold(0) { word, place ->
                word or ((raw[raw.size - Int.SIZE_BYTES + place].toInt() and 0xFF) shl (8 * place))
            }
    }
}
