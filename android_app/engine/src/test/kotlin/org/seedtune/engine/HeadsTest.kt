package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.Contrastive
import org.seedtune.engine.bundle.FeatureHeads
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.generation.Prompt
import org.seedtune.engine.heads.CoupledRows
import org.seedtune.engine.heads.HeadRows
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.tuning.estimator.GradientSettings

/** Heads over features: the rows that bundles bring, and runs that Python made. */
class HeadsTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun cases() = Golden.read("heads/heads.json").items.map { GoldenRun("heads/runs/${it.text}") }

    private fun rows(case: GoldenRun): HeadRows = Bundle.open(case.bundle).let { HeadRows(it, it.manifest.objective as FeatureHeads) }

    @Test
    fun `the groups of steps are Python's`() {
        var groups = 0
        for (case in cases()) {
            val rows = rows(case)
            val loss = rows.objective.loss as? Contrastive ?: continue
            val feeder = CoupledRows(rows, loss)
            for (group in case.info.field("groups").items) {
                val found = feeder.sampling(group.field("seed").jsonPrimitive.long, 9).indices(group.field("step").jsonPrimitive.int)
                assertEquals(group.field("rows").longs(), found.map { it.toLong() })
                // One call, whatever the limit, with each row once.
                val batch = feeder.batches(found, 1).single()
                assertEquals(found.toSet().size, batch.work.computed)
                batch.close()
                groups++
            }
        }
        assertEquals(6, groups)
    }

    @Test
    fun `a run has Python's journal to the byte and its evaluations`() {
        for (case in cases()) {
            val folder = File(temporary.root, case.folder.name)
            SeedTune.open(case.bundle, 1).use {
                it.tune(folder, case.settings)
                assertEquals(case.folder.name, case.stateSha256, it.stateSha256)
            }
            assertArrayEquals(case.folder.name, File(case.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
            val (expected, found) = listOf(case.folder, folder).map { run -> File(run, "evaluations.jsonl").readLines().map(Json::parseToJsonElement) }
            assertEquals(expected.size, found.size)
            for ((python, jvm) in expected.zip(found)) {
                for (name in listOf("step", "best", "examples")) assertEquals(python.field(name), jvm.field(name))
                for (name in listOf("accuracy", "loss")) {
                    assertEquals(case.folder.name, python.field(name).jsonPrimitive.double, jvm.field(name).jsonPrimitive.double, 1e-6)
                }
            }
            val (mine, theirs) = listOf(folder, case.folder).map { run -> Json.parseToJsonElement(File(run, "run.json").readText()) }
            for (name in listOf("model", "task", "state", "bundle_sha256")) assertEquals(theirs.field(name), mine.field(name))
            for (split in listOf("train", "eval")) {
                for (name in listOf("rows", "sha256")) {
                    assertEquals(theirs.field("data").field(split).field(name), mine.field("data").field(split).field(name))
                }
            }
        }
    }

    @Test
    fun `a run that Python began goes on as if Python went on, and its best state is restored`() {
        for (case in cases()) {
            val folder = File(temporary.root, "resumed-${case.folder.name}")
            case.folder.copyRecursively(folder)
            val whole = File(case.folder, "journal.bin").readBytes()
            val kept = whole.size - JournalFormat.recordBytes(1, case.journal.header.record) * 20 + 5
            File(folder, "journal.bin").writeBytes(whole.copyOf(kept))
            SeedTune.open(case.bundle, 1).use { assertEquals(case.stateSha256, it.tune(folder, case.settings).stateSha256) }
            assertArrayEquals(whole, File(folder, "journal.bin").readBytes())
            SeedTune.open(case.bundle, 1).use {
                assertEquals(case.settings.steps, it.restore(case.folder))
                assertEquals(case.stateSha256, it.stateSha256)
            }
        }
    }

    @Test
    fun `a run that is stopped goes on`() {
        val case = cases().first()
        val folder = File(temporary.root, "stopped")
        SeedTune.open(case.bundle, 1).use { model ->
            val result = model.tune(folder, case.settings) { it !is TuningEvent.Step || it.step.step < 7 }
            assertEquals(7, result.steps)
            assertTrue(result.interrupted)
        }
        SeedTune.open(case.bundle, 1).use { it.tune(folder, case.settings) }
        assertArrayEquals(File(case.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
    }

    @Test
    fun `what is of text says that there is none`() {
        val case = cases().first()
        val rows = File(temporary.root, "rows.jsonl").apply { writeText("{\"text\": \"a\", \"label\": 0}\n") }
        SeedTune.open(case.bundle, 1).use { model ->
            val asked = listOf<() -> Any?>(
                { model.tune(File(temporary.root, "run"), rows, Settings()) },
                { model.evaluate(rows) },
                { model.predict(mapOf("text" to "a")) },
                { model.generate(Prompt.Raw("a")) },
                { model.check(rows) },
                { SeedTune.contextCost(case.bundle, File(temporary.root, "run"), rows) },
            )
            for (ask in asked) assertEquals("this bundle has heads over features, and no text", refused { ask() }.what)
        }
        SeedTune.open(case.bundle, 1).use { model ->
            val error = refused { model.tune(File(temporary.root, "run"), Settings.by(GradientSettings)) }
            assertEquals("the bundle has no gradient graph", error.what)
            assertEquals("contrastive over 300 rows of 64 features", error.value)
        }
        SeedTune.open(case.bundle, 1, memoryLimitBytes = 200_000_000).use { model ->
            assertEquals("a bundle of heads has no weights to stream", refused { model.tune(File(temporary.root, "run"), case.settings) }.what)
        }
        val text = GoldenRun("runs/${Golden.read("runs.json").items.first().text}")
        SeedTune.open(text.bundle, 1).use { model ->
            assertTrue("language model" in refused { model.tune(File(temporary.root, "run"), text.settings) }.what)
        }
    }

    @Test
    fun `rows that are not those of the manifest are refused`() {
        val case = cases().first()
        val file = File(case.bundle, Manifest.FILE)
        val text = file.readText()
        val objective = Manifest.read(case.bundle).objective as FeatureHeads
        assertEquals("contrastive over 300 rows of 64 features", objective.summary)
        for ((old, new) in listOf("\"rows\": 300" to "\"rows\": 299", "\"features\": 64" to "\"features\": 63", "\"classes\": 10" to "\"classes\": 4")) {
            assertTrue(old, old in text)
            val copy = File(temporary.root, new.filter { it.isLetterOrDigit() }).also { case.bundle.copyRecursively(it) }
            File(copy, Manifest.FILE).writeText(text.replace(old, new))
            val error = refused { SeedTune.open(copy, 1).use { it.tune(File(temporary.root, "run"), case.settings) } }
            assertTrue(error.what, "the bundle's rows are damaged" in error.what)
        }
        for ((old, new) in listOf("\"temperature\": 1.0" to "\"temperature\": 0.0", "\"negatives\": 40" to "\"negatives\": 0", "\"form\": \"full\"" to "\"form\": \"none\"", "\"kind\": \"contrastive\"" to "\"kind\": \"margin\"")) {
            assertTrue(old, old in text)
            assertEquals(file.path, refused { Manifest.parse(text.replace(old, new), file.path) }.file)
        }
        val altered = File(temporary.root, "altered").also { case.bundle.copyRecursively(it) }
        File(altered, "rows.safetensors").let { rows -> rows.writeBytes(rows.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() }) }
        assertEquals(File(altered, "rows.safetensors").path, refused { SeedTune.open(altered, 1) }.file)
    }
}
