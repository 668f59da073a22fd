package org.seedtune.engine

import ai.onnxruntime.OnnxTensor
import java.io.File
import java.util.Random
import kotlin.math.pow
import kotlin.math.sqrt
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.data.Work
import org.seedtune.engine.files.Vectors
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.tuning.Descended
import org.seedtune.engine.tuning.Descender
import org.seedtune.engine.tuning.estimator.Gradient
import org.seedtune.engine.tuning.estimator.GradientSettings
import org.seedtune.engine.tuning.optimizer.AdamWSettings

/** Steps along exact gradients: the arithmetic, the loop, and what a run keeps. Whole runs are compared in [TuneTest]. */
class GradientTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val random = Random(3)

    /** Rows that are nothing but a place, two a batch, the last ones first. */
    private class Places(override val size: Int) : Feeder {
        override val unit = "places"

        override fun batches(indices: IntArray, limit: Int): Sequence<Batch> =
            indices.indices.reversed().chunked(limit).asSequence().map { Batch(Feeds(), it.toIntArray(), Work(3, 1, 5, 2)) }
    }

    /** The loss of a row is half the squared distance of the state from the row's place, or [spoilt]. */
    private class Distances(private val spoilt: Float? = null) : Graph {
        override fun run(
            outputs: Set<String>,
            batches: Sequence<Batch>,
            shared: Map<String, OnnxTensor>,
            use: (Batch, Map<String, OnnxTensor>) -> Unit,
        ) = batches.forEach { batch ->
            val state = shared.getValue("state").floatBuffer
            val apart = batch.index.map { place -> FloatArray(state.capacity()) { state.get(it) - place } }
            Feeds().use { made ->
                made.floats("loss", FloatArray(apart.size) { row -> spoilt ?: (apart[row].sumOf { it.toDouble() * it } / 2).toFloat() }, apart.size)
                made.floats("gradient", FloatArray(state.capacity()) { value -> apart.sumOf { it[value].toDouble() }.toFloat() }, state.capacity())
                use(batch, made.tensors)
            }
            batch.close()
        }

        override fun close() = Unit
    }

    private fun descender(graph: Graph, state: State, record: (List<GradientRecord>) -> Unit) =
        Descender(Gradient(graph), AdamWSettings(0.5, "constant").build(9), Sampler(5, 8, 4), Places(8), state, record, 2)

    @Test
    fun `the gradient is that of the mean over all calls`() {
        State(plainUpdate, 32).use { state ->
            val found = Gradient(Distances()).measure(state, Places(5).batches(IntArray(5), 2))
            assertEquals(32 * (1 + 4 + 9 + 16) / 10.0, found.loss, 0.0)
            assertArrayEquals(FloatArray(32) { -2f }, found.gradient, 0f)
            assertEquals(2 * sqrt(32.0), found.norm, 1e-15)
        }
    }

    @Test
    fun `steps follow the formula, with powers, in twice the digits`() {
        val steps = 40
        val gradients = List(steps) { FloatArray(8) { place -> if (place == 0) 0f else (random.nextGaussian() * 10.0.pow(place - 5)).toFloat() } }
        for ((decay, clip) in listOf(0.0 to 0.5, 0.1 to 0.5, 0.1 to 1e9)) {
            val settings = AdamWSettings(0.01, "linear", 0.75, 0.875, decay, clip)
            val expected = DoubleArray(32) { 1.0 }
            State(plainUpdate, 32).use { state ->
                state.put(0, FloatArray(32) { 1f })
                val optimizer = settings.build(steps)
                for (step in 0 until steps) {
                    val longer = FloatArray(32) { gradients[step].getOrElse(it) { 0f } }
                    fun norm(of: Int) = sqrt(gradients[of].sumOf { it.toDouble() * it })
                    optimizer.move(step, state, longer, norm(step))
                    for (place in 0 until 32) {
                        fun slope(of: Int) = (gradients[of].getOrElse(place) { 0f }) * minOf(1.0, clip / norm(of))
                        val first = (0..step).sumOf { 0.25 * 0.75.pow(step - it) * slope(it) } / (1 - 0.75.pow(step + 1))
                        val second = (0..step).sumOf { 0.125 * 0.875.pow(step - it) * slope(it).pow(2) } / (1 - 0.875.pow(step + 1))
                        expected[place] -= 0.01 * (steps - step) / steps * (first / (sqrt(second) + 1e-8) + decay * expected[place])
                    }
                }
                state.copied().forEachIndexed { place, found -> assertEquals(expected[place], found.toDouble(), 1e-5) }
                assertEquals(if (decay == 0.0) 1.0 else expected[0], state.copied()[0].toDouble(), 1e-5)
            }
        }
    }

    @Test
    fun `who goes on from kept moments gets the same bits`() {
        val gradients = List(20) { FloatArray(32) { random.nextGaussian().toFloat() } }
        fun moved(stop: Int?): String = State(plainUpdate, 32).use { state ->
            var optimizer = AdamWSettings().build(20)
            gradients.forEachIndexed { step, gradient ->
                if (step == stop) {
                    val (first, second) = optimizer.firstMoment.copyOf() to optimizer.secondMoment.copyOf()
                    optimizer = AdamWSettings().build(20).also { it.restore(step, first, second) }
                }
                optimizer.move(step, state, gradient, 5.0)
            }
            state.sha256()
        }
        assertEquals(moved(null), moved(7))
    }

    @Test
    fun `a step is recorded with the hash of the state that it led to`() {
        State(plainUpdate, 32).use { state ->
            val records = ArrayList<GradientRecord>()
            val descender = descender(Distances(), state) { records += it }
            val event = descender.step(0)
            assertEquals(1, event.step)
            assertEquals(Work(6, 2, 10, 4), event.work)
            assertEquals(event.loss.toFloat(), records.single().loss, 0f)
            assertEquals(0.5f, records.single().learningRate, 0f)
            assertArrayEquals(state.sha256Bytes(), records.single().stateSha256)
            // The first step of Adam is as long as the learning rate, whatever the gradient.
            state.copied().forEach { assertEquals(0.5f, it, 1e-6f) }
            assertFalse(descender.isAhead)
        }
    }

    @Test
    fun `a loss that is not finite ends the run before its step`() {
        State(plainUpdate, 32).use { state ->
            val error = refused { descender(Distances(Float.NaN), state) { throw AssertionError("recorded") }.step(2) }
            assertTrue(error.what, error.what.startsWith("the loss of step 3 is not finite"))
            assertTrue(state.copied().all { it == 0f })
        }
    }

    @Test
    fun `a state that the journal does not know is not kept`() {
        State(plainUpdate, 32).use { state ->
            val descender = descender(Distances(), state) { throw SeedTuneException("full") }
            refused { descender.step(0) }
            assertTrue(descender.isAhead)
        }
    }

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

    private val golden = Golden.file("runs/gradient-last")
    private val info = Golden.read("runs/gradient-last/info.json")
    private val bundle = File(info.field("bundle").text)
    private val train = File(info.field("train").text)
    private val heldOut = File(info.field("eval").text)
    private val settings = Settings.of(readJournal(File(golden, "journal.bin")).header.settings)

    private fun kept(run: File) = File(run, "states").list().orEmpty().map { it.removeSuffix(".safetensors").toInt() }.sorted()

    @Test
    fun `a run that is stopped keeps its state, and goes on to the same bytes`() {
        for (stop in listOf(1, 20, 33)) {
            val folder = File(temporary.root, "stopped-$stop")
            SeedTune.open(bundle, 1).use { model ->
                val result = model.tune(folder, train, settings, heldOut) { it !is TuningEvent.Step || it.step.step < stop }
                assertEquals(stop, result.steps)
            }
            assertTrue("${kept(folder)}", stop in kept(folder))
            SeedTune.open(bundle, 1).use { assertEquals(stop, it.restore(folder)) }
            SeedTune.open(bundle, 1).use { assertEquals(info.field("state_sha256").text, it.tune(folder, train, settings, heldOut).stateSha256) }
            assertArrayEquals(File(golden, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
            assertEquals(kept(golden), kept(folder))
        }
    }

    @Test
    fun `what came behind the last kept state is made again, and stands once in the log`() {
        val folder = File(temporary.root, "killed")
        SeedTune.open(bundle, 1).use { model -> model.tune(folder, train, settings, heldOut) { it !is TuningEvent.Step || it.step.step < 33 } }
        // As a kill after step 33 would have left it.
        assertTrue(File(folder, "states/000033.safetensors").delete())
        val before = kept(folder).maxOrNull() ?: 0
        assertTrue("$before", before < 33)
        val again = ArrayList<Int>()
        SeedTune.open(bundle, 1).use { model ->
            model.tune(folder, train, settings, heldOut) { event ->
                (event as? TuningEvent.Step)?.let { again += it.step.step }
                true
            }
        }
        assertEquals((before + 1..settings.steps).toList(), again)
        assertArrayEquals(File(golden, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
        val lines = File(folder, "steps.jsonl").readLines().map { Json.parseToJsonElement(it) }
        assertEquals((1..settings.steps).map { "$it" }, lines.map { it.field("step").text })
        assertTrue(lines.all { it.field("gradient_norm").text.toDouble() > 0 && it.field("rows").text.toInt() > 0 })
    }

    @Test
    fun `an event tells loss and norm`() {
        val events = ArrayList<Descended>()
        SeedTune.open(bundle, 1).use { model ->
            model.tune(File(temporary.root, "told"), train, settings.copy(steps = 2)) { event ->
                if (event is TuningEvent.Step) events += event.step as Descended
                true
            }
        }
        val python = Golden.lines("runs/gradient-last/steps.jsonl")
        events.zip(python).forEach { (event, line) ->
            assertEquals(line.field("loss").text.toDouble(), event.loss, 1e-9)
            assertEquals(line.field("gradient_norm").text.toDouble(), event.gradientNorm, 1e-9)
        }
        assertEquals(2, events.size)
    }

    /** Lets the manifest of [folder] say what its plan of stages is now. */
    private fun resealed(folder: File) {
        val raw = File(folder, StagePlan.FILE).readBytes()
        val manifest = File(folder, "manifest.json")
        val fields = Json.parseToJsonElement(manifest.readText()).jsonObject
        val entry = JsonObject(mapOf("size_bytes" to JsonPrimitive(raw.size), "sha256" to JsonPrimitive(sha256Of(raw))))
        val files = JsonObject(fields.getValue("files").jsonObject + (StagePlan.FILE to entry))
        manifest.writeText(JsonObject(fields + ("files" to files)).toString())
    }

    @Test
    fun `a kept state that was altered is refused by name`() {
        val folder = File(temporary.root, "altered").also { golden.copyRecursively(it) }
        val file = File(folder, "states/0000${settings.steps}.safetensors")
        file.writeBytes(file.readBytes().also { it[it[0].toUByte().toInt() + 256 * it[1] + 108]++ })
        for (action in listOf<(SeedTune) -> Unit>({ it.restore(folder) }, { it.tune(folder, train, settings, heldOut) })) {
            val error = SeedTune.open(bundle, 1).use { model -> refused { action(model) } }
            assertEquals("the kept state is not the one that the journal recorded", error.what)
            assertEquals(file.path, error.file)
        }
    }

    @Test
    fun `a bundle without a gradient graph, or without stages of it within a limit, is refused before the first step`() {
        val folder = File(temporary.root, "none")
        val whole = File(Golden.read("runs/${Golden.read("runs.json").items[0].text}/info.json").field("bundle").text)
        SeedTune.open(whole, 1).use { model ->
            val error = refused { model.tune(folder, train, Settings.by(GradientSettings)) }
            assertEquals("the bundle has no gradient graph", error.what)
            assertTrue("${error.value}", "scope all" in error.value.toString())
        }
        assertFalse(folder.exists())
        val earlier = File(temporary.root, "earlier").also { bundle.copyRecursively(it) }
        val plan = File(earlier, StagePlan.FILE)
        val stages = Json.parseToJsonElement(plan.readText()).jsonObject
        val without = stages.mapValues { (name, of) -> if (name in setOf("graphs", "memory")) JsonObject(of.jsonObject - "gradient") else of }
        plan.writeText(JsonObject(without).toString())
        resealed(earlier)
        SeedTune.open(earlier, 1, 3_000_000_000).use { model ->
            assertEquals("the bundle's gradient graph has no stages", refused { model.tune(folder, train, settings) }.what)
        }
        assertFalse(File(folder, "journal.bin").exists())
    }
}
