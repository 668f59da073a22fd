package org.seedtune.engine.journal

import java.io.ByteArrayOutputStream
import java.io.Closeable
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.StandardOpenOption
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.json.readPlainFile

/**
 * The journal in [file].
 *
 * @throws SeedTuneException it is missing, damaged or of another format version; a torn last step is not damage.
 */
fun readJournal(file: File): Journal =
    JournalFormat.decode(readPlainFile(file, "the journal", JournalFormat.RESTORE), file.path)

/** Appends steps; each is on the storage when [append] returns, and survives a power cut. */
internal class JournalWriter private constructor(
    private val file: File,
    private val channel: FileChannel,
    private val header: Header,
    private var checksum: Int,
    private var wholeBytes: Long,
    steps: Int,
) : Closeable {
    /** Steps in the journal. */
    var steps: Int = steps
        private set

    /**
     * Appends the [records] of a step.
     *
     * @throws SeedTuneException the storage is full; the journal then ends with the step before.
     */
    fun append(records: List<JournalRecord>) {
        require(records.size == header.recordsPerStep && records.all { it.kind == header.record && it.groups == header.groups }) {
            "${records.map { "${it.kind.word} of ${it.groups}" }} a step, for a journal of ${header.recordsPerStep} ${header.record.word} of ${header.groups}"
        }
        val raw = ByteArrayOutputStream()
        var chained = checksum
        for (record in records) {
            val one = JournalFormat.encodeRecord(record, chained)
            chained = lastWord(one)
            raw.write(one)
        }
        write(raw.toByteArray())
        checksum = chained
        steps++
    }

    private fun write(raw: ByteArray) {
        try {
            val buffer = ByteBuffer.wrap(raw)
            while (buffer.hasRemaining()) channel.write(buffer)
            channel.force(true)
            wholeBytes += raw.size
        } catch (error: IOException) {
            // A later step must not land behind a torn one. Where even this fails, resuming cuts it off.
            runCatching { channel.truncate(wholeBytes) }
            throw SeedTuneException(
                "the journal cannot be written (${error.message})",
                file.path,
                "$steps steps are safe",
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
            return JournalWriter(file, channel, header, lastWord(raw), raw.size.toLong(), 0)
        }

        /**
         * Goes on with [journal], just read from [file]; a torn last step is cut off.
         *
         * @throws SeedTuneException the file cannot be written.
         */
        fun resume(file: File, journal: Journal): JournalWriter {
            val channel = open(file, "appended to", StandardOpenOption.WRITE)
            channel.truncate(journal.wholeBytes)
            channel.position(journal.wholeBytes)
            return JournalWriter(file, channel, journal.header, journal.checksum, journal.wholeBytes, journal.steps)
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
