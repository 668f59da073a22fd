package org.seedtune.engine

import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32
import kotlinx.serialization.json.JsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.files.Crc32
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.RecordKind
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.noise.Noise

class JournalTest {
    @get:Rule
    val temporary = TemporaryFolder()

    /** Five steps of [probes] records of [groups] groups each. */
    private class Case(val groups: Int, val probes: Int) {
        val header = Header(7, 64, groups, probes, "ab", mapOf("steps" to JsonPrimitive(5), "optimizer.clip" to JsonPrimitive(3.0)))
        val stepBytes = JournalFormat.recordBytes(groups) * probes
        val steps = List(5) { step -> List(probes) { probe -> record(step * probes + probe) } }

        fun record(number: Int) = Record(floats { 0.01f * number + it }, floats { 0.5f + number - it }, floats { -0.25f * number * it })

        private fun floats(value: (Int) -> Float) = FloatArray(groups, value)
    }

    private val model = Case(1, 1)
    private val rows = Case(3, 2)
    private val cases = listOf(model, Case(1, 4), rows)

    private fun Case.written(): File {
        val file = File(temporary.newFolder(), "journal.bin")
        JournalWriter.create(file, header).use { writer -> steps.forEach(writer::append) }
        return file
    }

    @Test
    fun `what is written is read`() {
        for (case in cases) {
            val journal = readJournal(case.written())
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
    fun `the bytes are those of the format`() {
        val text = """{"run_seed":7,"state_parameters":64,"groups":3,"records_per_step":2,"bundle_sha256":"ab","settings":{"steps":5,"optimizer.clip":3.0}}"""
        val summed = ByteArrayOutputStream()
        val expected = ByteArrayOutputStream()
        fun checksum() = little(4) { putInt(CRC32().apply { update(summed.toByteArray()) }.value.toInt()) }
        fun add(part: ByteArray) {
            summed.write(part)
            expected.write(part)
        }
        add("SEEDTUNE".toByteArray() + little(8) { putInt(2).putInt(text.length) } + text.toByteArray())
        expected.write(checksum())
        for (record in rows.steps.flatten()) {
            add(little(36) { for (part in listOf(record.coefficient, record.lossPlus, record.lossMinus)) part.forEach(::putFloat) })
            // Of everything before it but the checksums themselves.
            expected.write(checksum())
        }
        assertArrayEquals(expected.toByteArray(), rows.written().readBytes())
        assertEquals(16, JournalFormat.recordBytes(1))
    }

    private fun little(size: Int, fill: ByteBuffer.() -> Unit): ByteArray = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).apply(fill).array()

    @Test
    fun `a step that a kill cut short is cut off, and the run goes on behind the one before`() {
        for (case in cases) {
            val raw = case.written().readBytes()
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
        for (case in cases) {
            val raw = case.written().readBytes()
            for (place in raw.indices) {
                val altered = raw.copyOf().also { it[place] = (it[place] + 1).toByte() }
                assertThrows("byte $place", SeedTuneException::class.java) { JournalFormat.decode(altered, "journal.bin") }
            }
        }
    }

    @Test
    fun `an altered group of a record is named by its record`() {
        val raw = rows.written().readBytes()
        // The loss of the last group in the second of ten records.
        val place = raw.size - 9 * JournalFormat.recordBytes(3) + Float.SIZE_BYTES * 5
        val altered = raw.copyOf().also { it[place - JournalFormat.recordBytes(3)]++ }
        val error = refused { JournalFormat.decode(altered, "journal.bin") }
        assertEquals("record 1 of 10 of the journal has been altered", error.what)
        val second = raw.copyOf().also { it[place]++ }
        assertEquals("record 2 of 10 of the journal has been altered", refused { JournalFormat.decode(second, "journal.bin") }.what)
    }

    @Test
    fun `other versions are refused, each with its remedy`() {
        val raw = model.written().readBytes()
        val remedies = mapOf(
            0 to "replay it with the version of SeedTune that wrote it, or start a new run",
            1 to "replay it with the version of SeedTune that wrote it, or start a new run",
            3 to "update SeedTune",
            -1 to "update SeedTune",
        )
        for ((version, remedy) in remedies) {
            ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).putInt(8, version)
            val error = refused { JournalFormat.decode(raw, "journal.bin") }
            assertEquals("the journal has a format that this version does not read", error.what)
            assertEquals(version.toLong() and 0xFFFFFFFFL, error.value)
            assertEquals("version 2", error.rule)
            assertEquals(remedy, error.remedy)
        }
    }

    @Test
    fun `a header without groups or records, or with too many, is refused by name`() {
        for (groups in listOf(0, -1, (1 shl 20) + 1)) {
            val error = refused { decoded(rows.header.copy(groups = groups)) }
            assertEquals("groups in the journal's header is out of range", error.what)
            assertEquals(groups, error.value)
        }
        for (probes in listOf(0, -1, (1 shl 16) + 1)) {
            assertEquals("records_per_step in the journal's header is out of range", refused { decoded(rows.header.copy(recordsPerStep = probes)) }.what)
        }
        assertEquals(1 shl 20, decoded(rows.header.copy(groups = 1 shl 20, recordsPerStep = 1 shl 16)).groups)
    }

    private fun decoded(header: Header) = JournalFormat.decode(JournalFormat.encodeHeader(header), "journal.bin").header

    @Test
    fun `a journal of gradients has the bytes of the format, and is read`() {
        val header = model.header.copy(record = RecordKind.GRADIENT, startSha256 = "cd")
        val records = List(3) { step -> GradientRecord(0.5f * step, 0.25f, ByteArray(32) { (it * 7 + step).toByte() }) }
        val file = File(temporary.newFolder(), "journal.bin")
        JournalWriter.create(file, header).use { writer -> records.forEach { writer.append(listOf(it)) } }
        val text = """{"run_seed":7,"state_parameters":64,"groups":1,"records_per_step":1,"bundle_sha256":"ab",""" +
            """"settings":{"steps":5,"optimizer.clip":3.0},"record":"gradient","start_sha256":"cd"}"""
        var expected = headed(text)
        var checksum = Crc32.of(expected, 0, expected.size - 4)
        for (record in records) {
            val payload = little(8) { putFloat(record.loss).putFloat(record.learningRate) } + record.stateSha256
            checksum = Crc32.of(payload, previous = checksum)
            expected += payload + little(4) { putInt(checksum) }
        }
        assertArrayEquals(expected, file.readBytes())
        assertEquals(44, JournalFormat.recordBytes(1, RecordKind.GRADIENT))
        val journal = readJournal(file)
        assertEquals(header, journal.header)
        assertEquals(records, journal.records)
        assertEquals(0, journal.coefficients().size)
        for (other in listOf(model.steps[0], listOf(records[0], records[1]))) {
            JournalWriter.resume(file, journal).use { writer -> assertThrows(IllegalArgumentException::class.java) { writer.append(other) } }
        }
        assertThrows(IllegalArgumentException::class.java) { JournalWriter.resume(model.written(), readJournal(model.written())).use { it.append(listOf(records[0])) } }
    }

    @Test
    fun `a journal as it was after some steps goes on from there to the same bytes`() {
        for (case in cases) {
            val raw = case.written().readBytes()
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
    fun `records of another kind are refused by name`() {
        val whole = """{"run_seed":1,"state_parameters":32,"groups":1,"records_per_step":1,"bundle_sha256":"ab","settings":{},"record":"gradient"}"""
        assertEquals(RecordKind.GRADIENT, JournalFormat.decode(headed(whole), "journal.bin").header.record)
        val error = refused { JournalFormat.decode(headed(whole.replace("gradient", "curvature")), "journal.bin") }
        assertEquals("the journal's records are of a kind that this version does not know", error.what)
        assertEquals("curvature", error.value)
        assertEquals("probe, gradient", error.rule)
        for (other in listOf("null", "1", "[]")) refused { JournalFormat.decode(headed(whole.replace("\"gradient\"", other)), "journal.bin") }
    }

    @Test
    fun `a header that says something else is refused`() {
        val whole = """{"run_seed":7,"state_parameters":64,"groups":1,"records_per_step":1,"bundle_sha256":"ab","settings":{}}"""
        assertEquals(0, JournalFormat.decode(headed(whole), "journal.bin").steps)
        val texts = listOf("", "[]", "{", "null", whole.replace("\"groups\":1,", ""), whole.replace("{}", "[]"), whole.replace("64", "9e9"), whole.replace("{}", "{\"a\":{}}"))
        for (text in texts) assertThrows(text, SeedTuneException::class.java) { JournalFormat.decode(headed(text), "journal.bin") }
    }

    private fun headed(text: String): ByteArray {
        val body = "SEEDTUNE".toByteArray() + little(8) { putInt(2).putInt(text.length) } + text.toByteArray()
        return body + little(4) { putInt(CRC32().apply { update(body) }.value.toInt()) }
    }

    @Test
    fun `a step of other records than the header says is not appended`() {
        val file = rows.written()
        val before = file.readBytes()
        JournalWriter.resume(file, readJournal(file)).use { writer ->
            for (records in listOf(emptyList(), rows.steps[0].take(1), model.steps[0] + model.steps[0])) {
                assertThrows(IllegalArgumentException::class.java) { writer.append(records) }
            }
        }
        assertArrayEquals(before, file.readBytes())
        assertThrows(IllegalArgumentException::class.java) { Record(FloatArray(2), FloatArray(2), FloatArray(1)) }
    }

    @Test
    fun `an existing journal is not begun again`() {
        val file = model.written()
        assertThrows(SeedTuneException::class.java) { JournalWriter.create(file, model.header) }
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
