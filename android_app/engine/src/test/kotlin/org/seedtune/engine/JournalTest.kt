package org.seedtune.engine

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.noise.Noise

/** Journals that are written, torn, altered, cut and gone on with. */
class JournalTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `what is written is read`() {
        for (case in JournalCase.cases) {
            val journal = readJournal(case.written(temporary.newFolder()))
            assertEquals(case.header, journal.header)
            assertEquals(case.steps.flatten(), journal.records)
            assertEquals(case.steps.size, journal.steps)
            assertEquals(case.steps[3], journal.step(3))
            assertEquals(0, journal.tornBytes)
            assertArrayEquals(LongArray(journal.records.size) { Noise.deriveSeed(7, "probe", it.toLong()) }, journal.seeds())
            assertArrayEquals(case.steps.flatten().flatMap { it.coefficient.toList() }.toFloatArray(), journal.coefficients(), 0f)
        }
    }

    @Test
    fun `a step that a kill cut short is cut off, and the run goes on behind the one before`() {
        for (case in JournalCase.cases) {
            val raw = case.written(temporary.newFolder()).readBytes()
            val file = File(temporary.newFolder(), "journal.bin")
            for (torn in 1 until case.stepBytes) {
                file.writeBytes(raw.copyOf(raw.size - case.stepBytes + torn))
                val journal = readJournal(file)
                assertEquals(torn, journal.tornBytes)
                assertEquals(raw.size - case.stepBytes.toLong(), journal.wholeBytes)
                assertEquals(case.steps.size - 1, journal.steps)
                JournalWriter.resume(file, journal).use {
                    it.append(case.steps.last())
                    assertEquals(case.steps.size, it.steps)
                }
                assertArrayEquals(raw, file.readBytes())
            }
        }
    }

    @Test
    fun `any altered byte is noticed`() {
        for (case in JournalCase.cases) {
            val raw = case.written(temporary.newFolder()).readBytes()
            for (place in raw.indices) {
                val altered = raw.copyOf().also { it[place] = (it[place] + 1).toByte() }
                assertThrows("byte $place", SeedTuneException::class.java) { JournalFormat.decode(altered, "journal.bin") }
            }
        }
    }

    @Test
    fun `an altered group of a record is named by its record`() {
        val raw = JournalCase.rows.written(temporary.newFolder()).readBytes()
        // The loss of the last group in the second of ten records.
        val place = raw.size - 9 * JournalFormat.recordBytes(3) + Float.SIZE_BYTES * 5
        val altered = raw.copyOf().also { it[place - JournalFormat.recordBytes(3)]++ }
        val error = refused { JournalFormat.decode(altered, "journal.bin") }
        assertEquals("record 1 of 10 of the journal has been altered", error.what)
        val second = raw.copyOf().also { it[place]++ }
        assertEquals("record 2 of 10 of the journal has been altered", refused { JournalFormat.decode(second, "journal.bin") }.what)
    }

    @Test
    fun `a journal as it was after some steps goes on from there to the same bytes`() {
        for (case in JournalCase.cases) {
            val raw = case.written(temporary.newFolder()).readBytes()
            for (steps in 0..5) {
                val file = File(temporary.newFolder(), "journal.bin").also { it.writeBytes(raw + ByteArray(3)) }
                val until = readJournal(file).until(steps)
                assertEquals(steps, until.steps)
                assertEquals(case.steps.take(steps).flatten(), until.records)
                assertEquals((5 - steps) * case.stepBytes + 3, until.tornBytes)
                JournalWriter.resume(file, until).use { writer -> case.steps.drop(steps).forEach(writer::append) }
                assertArrayEquals(raw, file.readBytes())
            }
        }
    }

    @Test
    fun `a step of other records than the header says is not appended`() {
        val file = JournalCase.rows.written(temporary.newFolder())
        val before = file.readBytes()
        JournalWriter.resume(file, readJournal(file)).use { writer ->
            for (records in listOf(emptyList(), JournalCase.rows.steps[0].take(1), JournalCase.model.steps[0] + JournalCase.model.steps[0])) {
                assertThrows(IllegalArgumentException::class.java) { writer.append(records) }
            }
        }
        assertArrayEquals(before, file.readBytes())
        assertThrows(IllegalArgumentException::class.java) { Record(FloatArray(2), FloatArray(2), FloatArray(1)) }
    }

    @Test
    fun `an existing journal is not begun again`() {
        val file = JournalCase.model.written(temporary.newFolder())
        assertThrows(SeedTuneException::class.java) { JournalWriter.create(file, JournalCase.model.header) }
    }

    @Test
    fun `Python's journals are read, and written again with the same bytes`() {
        for (name in Golden.read("runs.json").items) {
            val file = Golden.file("runs/${name.text}/journal.bin")
            val journal = readJournal(file)
            assertTrue(journal.records.isNotEmpty())
            val copy = File(temporary.root, name.text)
            JournalWriter.create(copy, journal.header).use { writer -> for (step in 0 until journal.steps) writer.append(journal.step(step)) }
            assertArrayEquals(file.readBytes(), copy.readBytes())
        }
    }
}
