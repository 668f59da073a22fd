package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.scan.ImageScan

/** Scans that Python made, made again: the golden folder `scans`. */
class ImageScanTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val info by lazy { Golden.read("scans/info.json") }
    private val names get() = info.field("names").items.map { it.text }
    private val classifier get() = File(info.field("classifier").text)

    private fun open(scan: File, of: File = classifier) = ImageScan(scan, of, threads = 1, imagesPerCall = 16)

    @Test
    fun `the journal is Python's to the byte, and what was found is what it found`() {
        for (name in names) {
            val folder = Golden.file("scans/$name")
            val journal = File(temporary.root, "$name.bin")
            val findings = open(folder).use { it.search(journal) }
            assertArrayEquals(name, File(folder, "journal.bin").readBytes(), journal.readBytes())
            val lines = File(folder, "scan.jsonl").readLines().map { Json.parseToJsonElement(it).jsonObject }
            assertEquals(lines.size, findings.step.size)
            for ((place, line) in lines.withIndex()) {
                val found = line.getValue("found").jsonPrimitive.boolean
                assertEquals("$name, $place", if (found) line.getValue("step").jsonPrimitive.int else 0, findings.step[place])
                if (found) assertEquals("$name, $place", line.getValue("side").jsonPrimitive.int, findings.side[place])
            }
        }
    }

    @Test
    fun `a search that is stopped has the beginning of the journal`() {
        val folder = Golden.file("scans/spt")
        val journal = File(temporary.root, "stopped.bin")
        val told = ArrayList<Int>()
        open(folder).use { scan ->
            scan.search(journal) { step ->
                told += step.step
                assertTrue(step.asked in 1..scan.pictures && step.found <= scan.pictures)
                step.step < 3
            }
        }
        assertEquals(listOf(1, 2, 3), told)
        val whole = File(folder, "journal.bin").readBytes()
        assertTrue(journal.length() < whole.size)
        assertArrayEquals(whole.copyOf(journal.length().toInt()), journal.readBytes())
    }

    @Test
    fun `another classifier, a journal that is there and damaged pictures are refused by name`() {
        val folder = Golden.file("scans/one")
        val other = temporary.newFile("other.onnx").also { it.writeBytes(classifier.readBytes() + 0) }
        assertTrue("another classifier" in assertThrows(SeedTuneException::class.java) { open(folder, other) }.message.orEmpty())
        val there = temporary.newFile("there.bin")
        open(folder).use { scan -> assertThrows(SeedTuneException::class.java) { scan.search(there) } }
        assertEquals(0, there.length())
        val copy = temporary.newFolder("copy").also { folder.copyRecursively(it, overwrite = true) }
        val pictures = File(copy, "searched.safetensors")
        pictures.writeBytes(pictures.readBytes().dropLast(1).toByteArray())
        assertThrows(SeedTuneException::class.java) { open(copy) }
        assertTrue(pictures.delete())
        assertThrows(SeedTuneException::class.java) { open(copy) }
        assertFalse(File(copy, "journal2.bin").exists())
    }
}
