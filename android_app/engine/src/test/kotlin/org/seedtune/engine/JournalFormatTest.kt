package org.seedtune.engine

import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.files.Crc32
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.RecordKind
import org.seedtune.engine.journal.readJournal

/** The bytes of a journal, and headers that are refused. */
class JournalFormatTest {
    @get:Rule
    val temporary = TemporaryFolder()

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
        for (record in JournalCase.rows.steps.flatten()) {
            add(little(36) { for (part in listOf(record.coefficient, record.lossPlus, record.lossMinus)) part.forEach(::putFloat) })
            // Of everything before it but the checksums themselves.
            expected.write(checksum())
        }
        assertArrayEquals(expected.toByteArray(), JournalCase.rows.written(temporary.newFolder()).readBytes())
        assertEquals(16, JournalFormat.recordBytes(1))
    }

    @Test
    fun `other versions are refused, each with its remedy`() {
        val raw = JournalCase.model.written(temporary.newFolder()).readBytes()
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
            val error = refused { decoded(JournalCase.rows.header.copy(groups = groups)) }
            assertEquals("groups in the journal's header is out of range", error.what)
            assertEquals(groups, error.value)
        }
        for (probes in listOf(0, -1, (1 shl 16) + 1)) {
            assertEquals("records_per_step in the journal's header is out of range", refused { decoded(JournalCase.rows.header.copy(recordsPerStep = probes)) }.what)
        }
        assertEquals(1 shl 20, decoded(JournalCase.rows.header.copy(groups = 1 shl 20, recordsPerStep = 1 shl 16)).groups)
    }

    @Test
    fun `a journal of gradients has the bytes of the format, and is read`() {
        val header = JournalCase.model.header.copy(record = RecordKind.GRADIENT, startSha256 = "cd")
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
        for (other in listOf(JournalCase.model.steps[0], listOf(records[0], records[1]))) {
            JournalWriter.resume(file, journal).use { writer -> assertThrows(IllegalArgumentException::class.java) { writer.append(other) } }
        }
        assertThrows(IllegalArgumentException::class.java) { JournalWriter.resume(JournalCase.model.written(temporary.newFolder()), readJournal(JournalCase.model.written(temporary.newFolder()))).use { it.append(listOf(records[0])) } }
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

    private fun decoded(header: Header) = JournalFormat.decode(JournalFormat.encodeHeader(header), "journal.bin").header

}
