package org.seedtune.engine

import java.util.Random
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.files.Vectors

/** Files of states and moments: read as they were written, refused by name where they are spoilt. */
class VectorsTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val random = Random(3)

    @Test
    fun `vectors are read again, and a spoilt file is refused by name`() {
        val file = temporary.newFile("vectors")
        val values = List(2) { FloatArray(5) { random.nextFloat() } }
        val raw = Vectors.encode(mapOf("a" to listOf(5), "b" to listOf(5)), values)
        file.writeBytes(raw)
        Vectors.read(file, listOf("b", "a"), 5).zip(values.reversed()).forEach { (found, expected) -> assertArrayEquals(expected, found, 0f) }
        for ((names, length) in listOf(listOf("c") to 5, listOf("a") to 4)) refused { Vectors.read(file, names, length) }
        val header = String(raw, 8, raw[0].toInt())
        val spoilt = listOf("F32" to "F16", "[5]" to "[6]", "20,40" to "24,44", "20,40" to "40,20", "20,40" to "-4,16", "[20,40]" to "7", "{" to "[", "20,40" to "9e9,40")
        val changed = spoilt.map { (from, to) -> header.replace(from, to).toByteArray() }
            .map { ByteArray(8).also { size -> size[0] = it.size.toByte() } + it + raw.copyOfRange(8 + header.length, raw.size) }
        for (content in changed + listOf(ByteArray(0), ByteArray(7), ByteArray(8), ByteArray(9) { -1 }, raw.copyOf(raw.size - 1))) {
            file.writeBytes(content)
            val error = refused { Vectors.read(file, listOf("a", "b"), 5) }
            assertEquals(file.path, error.file)
            assertTrue(error.message, !error.remedy.isNullOrEmpty())
        }
    }
}
