package org.seedtune.app

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.stages.PageFile
import org.seedtune.engine.stages.Platform
import org.seedtune.engine.telemetry.MemoryRollup
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.telemetry.SegmentedLog

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class TelemetryTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `energy is the integral of what flows, whatever its sign`() {
        val energy = Energy()
        val second = 1_000_000_000L
        assertEquals(0.0, energy.after(0, Power(-1_000_000, 4000, null))!!, 0.0)
        assertEquals(4.0, energy.after(second, Power(-1_000_000, 4000, null))!!, 1e-9)
        // 4 W falls to 2 W in two seconds.
        assertEquals(10.0, energy.after(3 * second, Power(500_000, 4000, null))!!, 1e-9)
        assertNull(energy.after(4 * second, Power(null, 4000, null)))
        assertNull(Energy().after(0, Power(1, null, null)))
    }

    @Test
    fun `a current that would never run a phone is taken for milliamperes`() {
        val energy = Energy()
        val second = 1_000_000_000L
        assertEquals(0.0, energy.after(0, Power(-1_000, 4000, null))!!, 0.0)
        assertEquals(1000, energy.scale)
        // 1,000 mA at 4 V for a second.
        assertEquals(4.0, energy.after(second, Power(-1_000, 4000, null))!!, 1e-9)
        val plain = Energy()
        plain.after(0, Power(-900_000, 4000, null))
        plain.after(second, Power(-500, 4000, null))
        assertEquals(1, plain.scale)
        assertNull(Energy().joules)
    }

    @Test
    fun `page faults are read behind whatever the process is called`() {
        val stat = temporary.newFile().also { it.writeText("42 (a) b (c) S 1 42 42 0 -1 4194560 12345 0 67 0 1 2") }
        assertEquals(12345L to 67L, Telemetry.faults(stat))
        assertTrue(Telemetry.faults()!!.first > 0)
        stat.writeText("nonsense")
        assertNull(Telemetry.faults(stat))
    }

    @Test
    fun `a file that refuses to be read past the page cache is read through it, from the same place`() {
        val content = ByteArray(3 * Platform.PAGE_BYTES) { it.toByte() }
        var reads = 0
        val refusing = object : PageFile {
            override fun read(start: Long, into: ByteBuffer): Int {
                reads++
                // As the kernel may have moved on before it says EINVAL.
                into.position(into.position() + 1)
                throw IOException("read failed: EINVAL (Invalid argument)")
            }

            override fun close() = Unit
        }
        val plain = object : PageFile {
            override fun read(start: Long, into: ByteBuffer): Int {
                val count = minOf(into.remaining(), content.size - start.toInt())
                into.put(content, start.toInt(), count)
                return count
            }

            override fun close() = Unit
        }
        FallingBack(refusing) { plain }.use { file ->
            val pages = ByteBuffer.allocate(2 * Platform.PAGE_BYTES)
            assertEquals(2 * Platform.PAGE_BYTES, file.read(Platform.PAGE_BYTES.toLong(), pages))
            assertArrayEquals(content.copyOfRange(Platform.PAGE_BYTES, content.size), pages.array())
            pages.clear()
            file.read(0, pages)
        }
        assertEquals(1, reads)
    }

    @Test
    fun `what the process holds does not count what all apps share`() {
        assertTrue(PhonePlatform.heldBytes() in 1..MemorySample.read().vmHwmBytes!!)
        assertEquals(MemoryRollup.read().pssBytes!!.toDouble(), PhonePlatform.heldBytes().toDouble(), 64e6)
    }

    @Test
    fun `lines take at most a hundredth of the time`() {
        var now = 0L
        var lines = 0
        SegmentedLog(temporary.root, "telemetry").use { log ->
            // A phone on which a line takes 50 ms, and a step 200 ms.
            val recorder = Recorder(log, { mapOf("line" to lines++).also { now += 50_000_000 } }, { now })
            repeat(1000) {
                recorder.record()
                now += 200_000_000
            }
        }
        assertTrue("$lines lines", lines * 50_000_000L <= now / 100 + 50_000_000L)
        assertTrue(lines > 30)
    }

    @Test
    fun `where lines are quick there is one a second`() {
        var now = 0L
        var lines = 0
        SegmentedLog(temporary.root, "telemetry").use { log ->
            val recorder = Recorder(log, { mapOf("line" to lines++) }, { now })
            repeat(100) {
                recorder.record()
                now += 200_000_000
            }
        }
        assertEquals(20, lines)
    }

    @Test
    fun `frequencies are read in the order of the processors`() {
        for ((name, frequency) in listOf("cpu0" to "1800000\n", "cpu10" to "2400000\n", "cpu2" to null, "cpufreq" to "1")) {
            val folder = File(temporary.root, "$name/cpufreq").also { it.mkdirs() }
            frequency?.let { File(folder, "scaling_cur_freq").writeText(it) }
        }
        assertEquals(listOf(1_800_000L, null, 2_400_000L), Telemetry.frequencies(temporary.root))
        assertEquals(emptyList<Long?>(), Telemetry.frequencies(File(temporary.root, "absent")))
    }

    @Test
    fun `weights that would fill the phone are streamed, unless the user says how`() {
        val folder = temporary.newFolder()
        File(folder, Bundle.WEIGHTS).writeBytes(ByteArray(1000))
        assertNull(MemoryRoom.limitBytes(folder, 2000, null))
        assertEquals(999L, MemoryRoom.limitBytes(folder, 1998, null))
        assertNull(MemoryRoom.limitBytes(folder, 0, null))
        assertEquals(5L, MemoryRoom.limitBytes(folder, 2000, 5))
    }

    @Test
    fun `the phone's memory holds what its files are read into`() {
        val file = temporary.newFile().also { it.writeBytes(ByteArray(10_000) { place -> place.toByte() }) }
        val pages = PhonePlatform.pages(9000)
        assertEquals(3 * Platform.PAGE_BYTES, pages.capacity())
        PhonePlatform.open(file).use { opened ->
            assertEquals(10_000 - Platform.PAGE_BYTES, opened.read(Platform.PAGE_BYTES.toLong(), pages))
        }
        val found = ByteArray(10_000 - Platform.PAGE_BYTES).also { pages.flip(); pages.get(it) }
        assertArrayEquals(file.readBytes().copyOfRange(Platform.PAGE_BYTES, 10_000), found)
        PhonePlatform.release(pages)
    }
}
