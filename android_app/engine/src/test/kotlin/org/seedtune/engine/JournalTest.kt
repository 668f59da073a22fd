package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.JsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.readJournal

class JournalTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val header = Header(7, 64, "ab", mapOf("steps" to JsonPrimitive(3), "learning_rate" to JsonPrimitive(0.03)))
    private val records = List(5) { Record(0.01f * it, 0.5f + it, -0.25f * it) }

    private fun written(): File {
        val file = File(temporary.root, "journal.bin")
        JournalWriter.create(file, header).use { writer -> records.forEach(writer::append) }
        return file
    }

    @Test
    fun `what is written is read`() {
        val journal = readJournal(written())
        assertEquals(header, journal.header)
        assertEquals(records, journal.records)
        assertEquals(0, journal.tornBytes)
    }

    @Test
    fun `a record that a kill cut short is cut off, and the run goes on behind the one before`() {
        val file = written()
        for (torn in 1 until JournalFormat.RECORD_BYTES) {
            file.appendBytes(ByteArray(torn))
            val journal = readJournal(file)
            assertEquals(torn, journal.tornBytes)
            JournalWriter.resume(file, journal).use { it.append(records[0]) }
            assertEquals(records.size + torn, readJournal(file).records.size)
        }
    }

    @Test
    fun `any altered byte is noticed`() {
        val raw = written().readBytes()
        for (place in raw.indices) {
            val altered = raw.copyOf().also { it[place] = (it[place] + 1).toByte() }
            assertThrows("byte $place", SeedTuneException::class.java) { JournalFormat.decode(altered, "journal.bin") }
        }
    }

    @Test
    fun `an existing journal is not begun again`() {
        val file = written()
        assertThrows(SeedTuneException::class.java) { JournalWriter.create(file, header) }
    }

    @Test
    fun `Python's journals are read, and written again with the same bytes`() {
        for (name in Golden.read("runs.json").items) {
            val file = Golden.file("runs/${name.text}/journal.bin")
            val journal = readJournal(file)
            assertTrue(journal.records.isNotEmpty())
            val copy = File(temporary.root, name.text)
            JournalWriter.create(copy, journal.header).use { writer -> journal.records.forEach(writer::append) }
            assertArrayEquals(file.readBytes(), copy.readBytes())
        }
    }
}
