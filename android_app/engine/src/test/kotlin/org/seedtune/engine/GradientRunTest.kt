package org.seedtune.engine

import java.io.File
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
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.tuning.Descended
import org.seedtune.engine.tuning.estimator.GradientSettings

/** What a run along gradients keeps and tells, and from where it goes on. Whole runs are compared in [TuneTest]. */
class GradientRunTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val golden = GoldenRun("runs/gradient-last")
    private val bundle = golden.bundle
    private val train = golden.train
    private val heldOut = golden.heldOut
    private val settings = golden.settings

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
            SeedTune.open(bundle, 1).use { assertEquals(golden.stateSha256, it.tune(folder, train, settings, heldOut).stateSha256) }
            assertArrayEquals(File(golden.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
            assertEquals(kept(golden.folder), kept(folder))
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
        assertArrayEquals(File(golden.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
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
        val folder = File(temporary.root, "altered").also { golden.folder.copyRecursively(it) }
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
