package org.seedtune.engine

import java.io.File
import kotlin.math.abs
import kotlin.math.sqrt
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.double
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.start.Eigen
import org.seedtune.engine.start.LinearProbe

/** Linear probes against Python's, and runs that start from one: Python's own, gone on with here, and new ones. */
class StartTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val golden = GoldenRun("probed")
    private val run = golden.folder
    private val info = golden.info
    private val bundle = golden.bundle
    private val train = golden.train
    private val heldOut = golden.heldOut
    private val journal = golden.journal
    private val settings = golden.settings

    private fun JsonElement.doubles() = items.map { it.jsonPrimitive.double }

    private fun JsonElement.floats() = items.map { row -> row.doubles().map { it.toFloat() }.toFloatArray() }

    @Test
    fun `vectors and values of a symmetric matrix make it again`() {
        for (n in listOf(1, 2, 3, 17)) {
            val matrix = Array(n) { i -> DoubleArray(n) { j -> if (i == j) 1.0 + i else 1.0 / (1 + i + j + (i * j) % 5) } }
            val eigen = Eigen(Array(n) { matrix[it].copyOf() })
            for (i in 0 until n) for (j in 0 until n) {
                val again = (0 until n).sumOf { eigen.values[it] * eigen.vectors[it][i] * eigen.vectors[it][j] }
                assertEquals(matrix[i][j], again, 1e-12)
                val product = (0 until n).sumOf { eigen.vectors[i][it] * eigen.vectors[j][it] }
                assertEquals(if (i == j) 1.0 else 0.0, product, 1e-12)
            }
        }
    }

    @Test
    fun `a probe says of its rows what Python's says`() {
        for (case in Golden.read("probes.json").items) {
            val hidden = case.field("hidden").floats()
            val logProbabilities = case.field("log_probabilities").floats()
            val labels = case.field("labels").longs().map { it.toInt() }.toIntArray()
            val seed = case.field("seed").text.toLong()
            val expected = case.field("values").doubles().map { it.toFloat() }.toFloatArray()
            val found = LinearProbe.solve(hidden, logProbabilities, labels, seed)
            assertEquals(case.field("strength").jsonPrimitive.double, found.strength, 1e-9 * found.strength)
            assertEquals(case.field("accuracy").jsonPrimitive.double, found.accuracy, 1e-9)
            assertEquals(case.field("loss").jsonPrimitive.double, found.loss, 1e-4)
            assertEquals(case.field("loss_before").jsonPrimitive.double, found.lossBefore, 1e-6)
            for (row in labels.indices) {
                val one = scores(expected, hidden[row], logProbabilities[row])
                val other = scores(found.values, hidden[row], logProbabilities[row])
                for (label in one.indices) assertEquals(one[label], other[label], 1e-3)
            }
            val most = hidden[0].size.toLong() * (labels.size / 2)
            assertEquals(case.field("chosen").longs(), LinearProbe.chosenRows(labels, hidden[0].size, seed, most).map { it.toLong() })
        }
    }

    private fun scores(values: FloatArray, hidden: FloatArray, logProbabilities: FloatArray): List<Double> {
        val length = sqrt(hidden.sumOf { it.toDouble() * it })
        val labels = logProbabilities.size
        return List(labels) { label ->
            val product = hidden.indices.sumOf { values[label * hidden.size + it] * hidden[it] / length }
            (1 + values.last()) * logProbabilities[label] + product + values[labels * hidden.size + label]
        }
    }

    @Test
    fun `a label that fewer than two rows have is told`() {
        assertEquals(null, LinearProbe.tooFew(intArrayOf(0, 1, 1, 0), 2))
        assertEquals(1, LinearProbe.tooFew(intArrayOf(0, 1, 0), 2))
        assertEquals(1, LinearProbe.tooFew(intArrayOf(0, 0), 2))
    }

    @Test
    fun `a run that Python began from a probe goes on to the same bytes`() {
        val whole = File(run, "journal.bin").readBytes()
        for (steps in listOf(0, settings.steps / 2)) {
            val folder = File(temporary.root, "resumed-$steps").also { run.copyRecursively(it) }
            File(folder, "journal.bin").writeBytes(whole.copyOf(whole.size - JournalFormat.recordBytes(1) * (settings.steps - steps)))
            SeedTune.open(bundle, 1).use {
                assertEquals(info.field("state_sha256").text, it.tune(folder, train, settings, heldOut).stateSha256)
            }
            assertArrayEquals(whole, File(folder, "journal.bin").readBytes())
        }
        SeedTune.open(bundle, 1).use {
            assertEquals(settings.steps, it.restore(run))
            assertEquals(info.field("state_sha256").text, it.stateSha256)
        }
    }

    @Test
    fun `a start that is missing or altered is refused by name`() {
        val folder = File(temporary.root, "spoilt").also { run.copyRecursively(it) }
        val start = File(folder, "start.safetensors")
        val raw = start.readBytes()
        for (spoilt in listOf(raw.copyOf(raw.size - 1), raw.copyOf().also { it[raw.size - 2] = (it[raw.size - 2] + 1).toByte() }, null)) {
            if (spoilt == null) start.delete() else start.writeBytes(spoilt)
            SeedTune.open(bundle, 1).use { model ->
                val error = assertThrows(SeedTuneException::class.java) { model.restore(folder) }
                assertEquals(start.path, error.file)
                assertTrue(error.message, (if (spoilt == null) "missing" else "altered") in error.what)
            }
            SeedTune.open(bundle, 1).use { model ->
                assertEquals(start.path, assertThrows(SeedTuneException::class.java) { model.tune(folder, train, settings, heldOut) }.file)
            }
        }
    }

    @Test
    fun `a new run starts where Python's starts, but for rounding, and is whole`() {
        val folder = File(temporary.root, "new")
        val notices = ArrayList<String>()
        SeedTune.open(bundle, 1).use {
            it.tune(folder, train, settings, heldOut) { event ->
                if (event is TuningEvent.Notice) notices += event.text
                true
            }
        }
        assertTrue(notices.toString(), notices.single().startsWith("start linear-probe: 64 training rows"))
        val (found, expected) = listOf(folder, run).map { File(it, "start.safetensors").readBytes() }
        assertEquals(sha256Of(found), readJournal(File(folder, "journal.bin")).header.startSha256)
        val parameters = File(run, "start.safetensors").readBytes().let { (it.size - 8 - it[0].toUByte().toInt() - 256 * it[1].toUByte().toInt()) / 4 }
        fun values(raw: ByteArray) = FloatArray(parameters).also {
            java.nio.ByteBuffer.wrap(raw, raw.size - 4 * parameters, 4 * parameters).order(java.nio.ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(it)
        }
        values(found).zip(values(expected)).forEach { (one, other) -> assertTrue("$one $other", abs(one - other) < 2e-2f) }
        val result = Golden.read("probed/result.json")
        val own = kotlinx.serialization.json.Json.parseToJsonElement(File(folder, "result.json").readText())
        for (name in listOf("loss_zero_shot", "accuracy_zero_shot", "loss_start")) {
            assertEquals(name, result.field(name).jsonPrimitive.double, own.field(name).jsonPrimitive.double, 1e-3)
        }
        assertEquals("linear-probe", own.field("start").text)
        SeedTune.open(bundle, 1).use {
            it.restore(folder)
            assertEquals(own.field("state_sha256").text, it.stateSha256)
        }
    }

    @Test
    fun `start zero makes no file`() {
        val folder = File(temporary.root, "zero")
        SeedTune.open(bundle, 1).use { it.tune(folder, train, settings.copy(start = "zero", steps = 1), heldOut) }
        assertFalse(File(folder, "start.safetensors").exists())
        assertEquals(null, readJournal(File(folder, "journal.bin")).header.startSha256)
    }
}
