package org.seedtune.engine

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.Record

/** Five steps of [probes] records of [groups] groups each. */
internal class JournalCase(val groups: Int, val probes: Int) {
    val header = Header(7, 64, groups, probes, "ab", mapOf("steps" to JsonPrimitive(5), "optimizer.clip" to JsonPrimitive(3.0)))
    val stepBytes = JournalFormat.recordBytes(groups) * probes
    val steps = List(5) { step -> List(probes) { probe -> record(step * probes + probe) } }

    fun record(number: Int) = Record(floats { 0.01f * number + it }, floats { 0.5f + number - it }, floats { -0.25f * number * it })

    private fun floats(value: (Int) -> Float) = FloatArray(groups, value)

    /** A journal of all steps in [folder], which is new. */
    fun written(folder: File): File {
        val file = File(folder, "journal.bin")
        JournalWriter.create(file, header).use { writer -> steps.forEach(writer::append) }
        return file
    }

    companion object {
        val model = JournalCase(1, 1)
        val rows = JournalCase(3, 2)
        val cases = listOf(model, JournalCase(1, 4), rows)
    }
}

/** [size] bytes, the lowest of a number first. */
internal fun little(size: Int, fill: ByteBuffer.() -> Unit): ByteArray = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).apply(fill).array()

/** The bytes of a journal without steps whose header is [text]. */
internal fun headed(text: String): ByteArray {
    val body = "SEEDTUNE".toByteArray() + little(8) { putInt(2).putInt(text.length) } + text.toByteArray()
    return body + little(4) { putInt(CRC32().apply { update(body) }.value.toInt()) }
}
