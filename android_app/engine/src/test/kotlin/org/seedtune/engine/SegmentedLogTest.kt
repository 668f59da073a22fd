package org.seedtune.engine

import java.io.File
import java.util.Locale
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.telemetry.MemoryRollup
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.telemetry.SegmentedLog

class SegmentedLogTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val files get() = temporary.root.listFiles()!!.sorted()

    private fun numbers() = files.flatMap { it.readLines() }.map { Json.parseToJsonElement(it).jsonObject.getValue("number").jsonPrimitive.int }

    private fun log() = SegmentedLog(temporary.root, "log", segmentBytes = 100, segments = 3)

    @Test
    fun `files are bounded, and what is unread stays`() {
        log().use { log -> repeat(1000) { log.write(mapOf("number" to it)) } }
        assertEquals(listOf("log-000001.jsonl", "log-000002.jsonl", "log-000003.jsonl"), files.map { it.name })
        assertTrue(files.all { it.length() < 130 })
        assertEquals(List(numbers().size) { it }, numbers())
    }

    @Test
    fun `what was read makes room, and the first new line says how many found none`() {
        log().use { log ->
            repeat(100) { log.write(mapOf("number" to it)) }
            val kept = numbers().size
            assertEquals(100L - kept, log.dropped)
            files.dropLast(1).forEach(File::delete)
            log.write(mapOf("number" to 100))
            val line = Json.parseToJsonElement(files.last().readLines().last()).jsonObject
            assertEquals(100 - kept, line.getValue("lines_dropped").jsonPrimitive.int)
            log.write(mapOf("number" to 101))
            assertNull(Json.parseToJsonElement(files.last().readLines().last()).jsonObject["lines_dropped"])
        }
    }

    @Test
    fun `it goes on where it stopped, without the line that a kill cut short`() {
        log().use { it.write(mapOf("number" to 0)) }
        files.single().appendText("{\"numb")
        log().use { it.write(mapOf("number" to 1)) }
        assertEquals(listOf(0, 1), numbers())
    }

    @Test
    fun `names have plain digits in every language, and the bound holds`() {
        val before = Locale.getDefault()
        try {
            for (language in listOf("ar-EG-u-nu-arab", "fa-u-nu-arabext", "bn-u-nu-beng", "mr-u-nu-deva")) {
                Locale.setDefault(Locale.forLanguageTag(language))
                log().use { log -> repeat(1000) { log.write(mapOf("number" to it)) } }
                assertEquals(language, listOf("log-000001.jsonl", "log-000002.jsonl", "log-000003.jsonl"), files.map { it.name })
            }
        } finally {
            Locale.setDefault(before)
        }
    }

    @Test
    fun `the kernel's figures are read, and none is made up`() {
        val process = MemorySample.read()
        val rollup = MemoryRollup.read()
        assertTrue(rollup.pssBytes!! in 1..process.vmHwmBytes!!)
        assertTrue(rollup.privateDirtyBytes!! <= rollup.pssBytes!!)
        assertNull(MemoryRollup.read(File(temporary.root, "absent")).pssBytes)
        val strange = temporary.newFile().also { it.writeText("VmRSS:\tmany kB\nRssAnon: 12 kB\n") }
        assertEquals(12L * 1024, MemorySample.read(strange).rssAnonBytes)
        assertNull(MemorySample.read(strange).vmRssBytes)
        strange.writeText("RssAnon: 10 kB\nRssShmem: 3 kB\nVmSwap: 2 kB\n")
        assertEquals(15L * 1024, MemorySample.read(strange).ownBytes)
    }
}
