package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.RunSummary
import org.seedtune.engine.run.Settings

/** What a RUN folder tells in a list of runs, and what a model that is asked stands for. */
class RunSummaryTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val names = Golden.read("runs.json").items.map { it.text }

    private fun copy(name: String): File = File(temporary.root, name).also { Golden.file("runs/$name").copyRecursively(it) }

    @Test
    fun `a run that Python made is summed up as its files say`() {
        for (name in names) {
            val folder = Golden.file("runs/$name")
            val info = Golden.read("runs/$name/info.json")
            val result = Golden.read("runs/$name/result.json")
            val found = RunSummary.read(folder)
            assertEquals(File(info.field("bundle").text).name, found.bundle.name)
            assertEquals(File(info.field("eval").text).name, found.heldOut!!.name)
            assertEquals(Settings.of(readJournal(File(folder, "journal.bin")).header.settings), found.settings)
            assertEquals(result.field("steps").jsonPrimitive.int, found.steps)
            val evaluations = Golden.lines("runs/$name/evaluations.jsonl")
            assertEquals(evaluations.map { it.field("accuracy").jsonPrimitive.double }, RunSummary.accuracies(folder).map { it.second })
            assertEquals(List(found.steps) { it + 1 }, RunSummary.losses(folder).map { it.first })
            assertTrue(found.isWhole)
        }
    }

    @Test
    fun `a run that was stopped is not whole, and one without held-out rows has no accuracy`() {
        val info = Golden.read("runs/${names[0]}/info.json")
        val (bundle, train) = File(info.field("bundle").text) to File(info.field("train").text)
        val folder = File(temporary.root, "short")
        SeedTune.open(bundle, 1).use { it.tune(folder, train, Settings(steps = 9, batchSize = 4)) { event -> event !is org.seedtune.engine.run.TuningEvent.Step } }
        val found = RunSummary.read(folder)
        assertEquals(1, found.steps)
        assertFalse(found.isWhole)
        assertNull(found.accuracyBefore)
        assertNull(found.heldOut)
    }

    @Test
    fun `a folder that was edited by hand is refused by name`() {
        val damages = mapOf<String, (File) -> Unit>(
            "run.json" to { file -> file.writeText("{") },
            "journal.bin" to { file -> file.writeBytes(file.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() }) },
            "evaluations.jsonl" to { file -> file.writeText("{\"step\": \"one\"}\n") },
            "result.json" to { file -> file.writeText("[]") },
        )
        for ((name, damage) in damages) {
            val folder = copy(names[0])
            damage(File(folder, name))
            assertTrue(refused { RunSummary.read(folder) }.message!!.contains(name))
            folder.deleteRecursively()
        }
        val folder = copy(names[0])
        val other = Json.parseToJsonElement(File(folder, "run.json").readText()).field("bundle_sha256").text
        File(folder, "run.json").writeText(File(folder, "run.json").readText().replace(other, "0".repeat(64)))
        assertTrue(refused { RunSummary.read(folder) }.message!!.contains("another run"))
    }

    @Test
    fun `the best state is the one that the evaluations name, else the last, and the untouched model where it was better`() {
        for (name in names) {
            val info = Golden.read("runs/$name/info.json")
            val bundle = File(info.field("bundle").text)
            val folder = Golden.file("runs/$name")
            val best = Golden.lines("runs/$name/evaluations.jsonl").last { it.field("best").jsonPrimitive.content == "true" }
            val step = best.field("step").jsonPrimitive.int
            SeedTune.open(bundle, 1).use { model ->
                assertEquals(step, model.restore(folder, best = true))
                val found = model.evaluate(File(info.field("eval").text))
                assertEquals(name, best.field("loss").jsonPrimitive.double, found.loss, 2e-3)
                assertEquals(name, best.field("accuracy").jsonPrimitive.double, found.accuracy, 1e-9)
            }
        }
        val folder = copy(names[0])
        val bundle = File(Golden.read("runs/${names[0]}/info.json").field("bundle").text)
        File(folder, "evaluations.jsonl").delete()
        SeedTune.open(bundle, 1).use { assertEquals(readJournal(File(folder, "journal.bin")).steps, it.restore(folder, best = true)) }
        val worse = "{\"step\": 0, \"accuracy\": 0.5, \"loss\": 9.0, \"best\": false}\n"
        File(folder, "evaluations.jsonl").writeText(worse)
        File(folder, "zero_shot.json").writeText(worse.replace("false", "true"))
        val untouched = SeedTune.open(bundle, 1).use { it.stateSha256 }
        SeedTune.open(bundle, 1).use {
            assertEquals(0, it.restore(folder, best = true))
            assertEquals(untouched, it.stateSha256)
        }
    }
}
