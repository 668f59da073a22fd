package org.seedtune.engine

import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.util.Random
import java.util.concurrent.atomic.AtomicBoolean
import kotlin.concurrent.thread
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.booleanOrNull
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Rows
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.JournalRecord
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.stages.DesktopPlatform
import org.seedtune.engine.stages.MemoryLimit
import org.seedtune.engine.stages.PageFile
import org.seedtune.engine.stages.Platform
import org.seedtune.engine.stages.Ring
import org.seedtune.engine.stages.Shape
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.stages.StreamedWeights
import org.seedtune.engine.stages.Tensors
import org.seedtune.engine.stages.span

/** Weights that are streamed within a memory limit: the same choices, bits and refusals as Python's. */
class StagesTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `a limit leads to Python's choice`() {
        var refused = 0
        for (case in Golden.read("memory.json").items) {
            val folder = File(case.field("bundle").text)
            val shape = case.field("shape").items.let { part ->
                val sizes = List(5) { part[it].jsonPrimitive.int }
                Shape(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], part[5].jsonPrimitive.long, part[6].jsonPrimitive.boolean, part[7].jsonPrimitive.long)
            }
            val weights = listOf(Bundle.WEIGHTS, Bundle.CONTEXT_WEIGHTS).map { File(folder, it) }.filter { it.exists() }
            val tensors = weights.map(Tensors::read).reduce { found, more -> found + more }
            val limit = MemoryLimit(StagePlan.read(File(folder, StagePlan.FILE)), tensors, shape, HELD)
            val tokens = case.field("tokens").takeUnless { it is JsonNull }?.jsonPrimitive?.int
            val expected = case.field("choice")
            if (expected is JsonNull) {
                refused++
                assertThrows(SeedTuneException::class.java) { limit.choose(case.field("limit").jsonPrimitive.long, tokens) }
                continue
            }
            val found = limit.choose(case.field("limit").jsonPrimitive.long, tokens)
            val numbers = mapOf(
                "limit_bytes" to found.limitBytes,
                "tokens_per_call" to found.tokensPerCall.toLong(),
                "tokens_in_flight" to found.tokensInFlight.toLong(),
                "tokens_per_context_call" to found.tokensPerContextCall.toLong(),
                "buffer_bytes" to found.bufferBytes.toLong(),
                "layer_calls" to found.layerCalls.toLong(),
                "layer_buffer_bytes" to found.layerBufferBytes,
                "together" to (if (found.together) 1L else 0L),
                "context_tokens_per_call" to found.contextTokensPerCall.toLong(),
                "expected_bytes" to found.expectedBytes,
            )
            assertEquals(numbers.mapValues { (name, _) -> expected.field(name).jsonPrimitive.run { booleanOrNull?.let { if (it) 1L else 0L } ?: long } }, numbers)
            assertEquals(expected.field("kept").items.map { it.text }, found.kept)
        }
        assertTrue(refused > 0)
    }

    @Test
    fun `a run within a limit takes the same steps`() {
        for (name in Golden.read("runs.json").items.map { it.text }) {
            val golden = Golden.file("runs/$name")
            val info = Golden.read("runs/$name/info.json")
            val settings = Settings.of(readJournal(File(golden, "journal.bin")).header.settings)
            val folder = File(temporary.root, name)
            var limited = false
            var scope = ""
            SeedTune.open(File(info.field("bundle").text), 1, LIMIT).use { model ->
                model.tune(folder, File(info.field("train").text), settings, File(info.field("eval").text)) {
                    limited = limited || it is TuningEvent.KeepingToLimit
                    true
                }
                assertTrue(limited)
                scope = model.bundle.manifest.languageModel.scope
                val expected = info.field("probabilities").items.map { it.jsonPrimitive.content.toFloat() }
                val row = Rows.read(File(info.field("train").text), model.bundle.manifest.languageModel.task).first()
                assertArrayEquals(expected.toFloatArray(), model.predict(row.fields).toFloatArray(), 1e-4f)
            }
            val (python, found) = listOf(golden, folder).map { readJournal(File(it, "journal.bin")).records }
            assertEquals(python.size, found.size)
            if (scope == "all") {
                assertEquals(python, found)
            } else {
                // How contexts are split into calls depends on the limit, and rounding on the calls.
                python.zip(found).forEach { (a, b) -> assertArrayEquals(losses(a), losses(b), 1e-3f) }
            }
        }
    }

    private fun losses(record: JournalRecord) = when (record) {
        is Record -> record.lossPlus
        is GradientRecord -> floatArrayOf(record.loss)
    }

    @Test
    fun `what is streamed is what the file holds, kept or not, read directly or not`() {
        val folder = File(Golden.read("runs/${Golden.read("runs.json").items[0].text}/info.json").field("bundle").text)
        val plan = StagePlan.read(File(folder, StagePlan.FILE))
        val path = File(folder, Bundle.WEIGHTS)
        val tensors = Tensors.read(path)
        val stages = plan.graphs.getValue("probe").map { it.weights.values.toSet() }
        val room = stages.maxOf { stage -> stage.filter { it in plan.streamed }.sumOf { tensors.getValue(it).span.sizeBytes } }
        val raw = path.readBytes()
        for (platform in listOf(DesktopPlatform, Buffered)) {
            for (kept in listOf(emptySet(), plan.streamed.take(3).toSet())) {
                StreamedWeights(tensors, plan.roles, room, kept, platform).use { weights ->
                    repeat(2) {
                        weights.pass(stages) { number, bytes ->
                            assertEquals(stages[number], bytes.keys)
                            for ((name, part) in bytes) {
                                val tensor = tensors.getValue(name)
                                val expected = ByteBuffer.wrap(raw, tensor.offset.toInt(), tensor.sizeBytes)
                                assertEquals(name, expected.slice(), part.duplicate())
                            }
                        }
                    }
                }
            }
        }
    }

    @Test
    fun `weights that change while they are used are refused`() {
        val folder = File(temporary.root, "changed")
        File(Golden.read("runs/${Golden.read("runs.json").items[0].text}/info.json").field("bundle").text).copyRecursively(folder)
        val path = File(folder, Bundle.WEIGHTS)
        val plan = StagePlan.read(File(folder, StagePlan.FILE))
        StreamedWeights(Tensors.read(path), plan.roles, 1 shl 22, emptySet(), DesktopPlatform).use { weights ->
            val stages = plan.graphs.getValue("probe").map { it.weights.values.toSet() }
            weights.pass(stages) { _, _ -> }
            RandomAccessFile(path, "rw").use { it.setLength(path.length() - 1) }
            assertThrows(SeedTuneException::class.java) { weights.pass(stages) { _, _ -> } }
        }
        path.writeBytes(byteArrayOf(1, 2, 3))
        assertThrows(SeedTuneException::class.java) { Tensors.read(path) }
        path.writeBytes(ByteArray(64) { 0x7f })
        assertThrows(SeedTuneException::class.java) { Tensors.read(path) }
    }

    @Test
    fun `a limit below what is needed is refused before a run begins`() {
        val info = Golden.read("runs/${Golden.read("runs.json").items[0].text}/info.json")
        val folder = File(temporary.root, "small")
        SeedTune.open(File(info.field("bundle").text), 1, 20_000_000).use { model ->
            val error = assertThrows(SeedTuneException::class.java) { model.tune(folder, File(info.field("train").text), Settings(steps = 1)) }
            assertEquals("the memory limit is too small for this bundle and these rows", error.what)
        }
        assertTrue(!File(folder, "journal.bin").exists())
    }

    @Test
    fun `a tensor over 2 GiB is told from a damaged header`() {
        val headers = mapOf("[1024, 600000]" to "2 GiB", "[7]" to "damaged header")
        for ((shape, message) in headers) {
            val file = temporary.newFile()
            val header = """{"table": {"dtype": "F32", "shape": $shape, "data_offsets": [0, 2457600000]}}"""
            RandomAccessFile(file, "rw").use {
                it.writeLong(java.lang.Long.reverseBytes(header.length.toLong()))
                it.writeBytes(header)
                // A hole: it takes no storage.
                it.setLength(Long.SIZE_BYTES + header.length + 2_457_600_000)
            }
            val refused = assertThrows(SeedTuneException::class.java) { Tensors.read(file) }
            assertTrue(refused.message, refused.message!!.contains(message))
        }
    }

    @Test
    fun `pieces that are out never overlap`() {
        val ring = Ring(1000)
        val owner = IntArray(1000)
        val pieces = ArrayDeque<Pair<Int, Int>>()
        val random = Random(3)
        val failed = AtomicBoolean(false)
        val taker = thread {
            repeat(2000) { number ->
                val size = 1 + random.nextInt(400)
                val offset = ring.take(size)!!
                synchronized(pieces) {
                    for (place in offset until offset + size) {
                        if (owner[place] != 0) failed.set(true)
                        owner[place] = number + 1
                    }
                    pieces += offset to size
                }
            }
        }
        while (taker.isAlive || synchronized(pieces) { pieces.isNotEmpty() }) {
            synchronized(pieces) {
                pieces.removeFirstOrNull()?.let { (offset, size) ->
                    owner.fill(0, offset, offset + size)
                    ring.giveBack()
                }
            }
        }
        assertTrue(!failed.get())
        assertThrows(IllegalArgumentException::class.java) { ring.take(1001) }
        ring.close()
        assertNull(ring.take(1))
    }

    /** A platform that cannot read past the page cache. */
    private object Buffered : Platform by DesktopPlatform {
        override fun open(file: File) = object : PageFile {
            private val opened = RandomAccessFile(file, "r")

            override fun read(start: Long, into: ByteBuffer): Int = opened.channel.read(into, start)

            override fun close() = opened.close()
        }
    }

    private companion object {
        const val HELD = 50_000_000L
        const val LIMIT = 3_000_000_000L
    }
}
