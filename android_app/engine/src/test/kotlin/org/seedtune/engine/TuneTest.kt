package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Rows
import org.seedtune.engine.journal.JournalFormat
import org.seedtune.engine.run.TuningEvent

/** Each run of the golden files: a bundle, rows, and what Python made of them with one thread. */
class TuneTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun cases() = Golden.read("runs.json").items.map { GoldenRun("runs/${it.text}") }

    @Test
    fun `rows become Python's tokens`() {
        for (case in cases()) {
            val task = Bundle.open(case.bundle).compiledTask()
            val rows = Rows.read(case.train, task.task)
            val expected = Golden.lines("runs/${case.folder.name}/rows.jsonl")
            assertEquals(expected.size, rows.size)
            rows.zip(expected).forEach { (row, golden) ->
                val encoded = task.encode(row.fields)
                assertEquals(golden.field("ids").longs(), encoded.ids.toList())
                assertEquals(golden.field("position").jsonPrimitive.int, encoded.position)
                assertEquals(golden.field("truncated_tokens").jsonPrimitive.int, encoded.truncatedTokens)
                val suffix = golden.field("suffix").takeUnless { it is JsonNull }?.longs()
                assertEquals(suffix, encoded.suffix?.map { it.toLong() })
                assertEquals(golden.field("targets").takeUnless { it is JsonNull }?.longs(), encoded.targets?.toList())
            }
        }
    }

    @Test
    fun `the same run has the same journal, to the byte, and the same state`() {
        for (case in cases()) {
            val folder = File(temporary.root, case.folder.name)
            val sha256 = SeedTune.open(case.bundle, 1).use {
                it.tune(folder, case.train, case.settings, case.heldOut)
                it.stateSha256
            }
            assertArrayEquals(case.folder.name, File(case.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
            assertEquals(case.stateSha256, sha256)
            assertEquals(kept(case.folder), kept(folder))
            for (cache in File(case.folder, "contexts").listFiles { file -> file.name.endsWith(".contexts") }.orEmpty()) {
                assertArrayEquals(cache.readBytes(), File(folder, "contexts/${cache.name}").readBytes())
            }
        }
    }

    /** Name -> bytes of the states that a run along gradients kept. */
    private fun kept(run: File) = File(run, "states").listFiles().orEmpty().associate { it.name to it.readBytes().toList() }

    @Test
    fun `evaluations and predictions are Python's`() {
        for (case in cases()) {
            val folder = File(temporary.root, "evaluated-${case.folder.name}")
            SeedTune.open(case.bundle, 1).use { it.tune(folder, case.train, case.settings, case.heldOut) }
            val expected = Golden.lines("runs/${case.folder.name}/evaluations.jsonl")
            val found = File(folder, "evaluations.jsonl").readLines().map { Json.parseToJsonElement(it) }
            assertEquals(expected.map { it.field("step") }, found.map { it.field("step") })
            assertEquals(expected.map { it.field("best") }, found.map { it.field("best") })
            expected.zip(found).forEach { (python, jvm) ->
                for (name in listOf("accuracy", "loss")) {
                    assertEquals(python.field(name).jsonPrimitive.double, jvm.field(name).jsonPrimitive.double, 1e-6)
                }
            }
            val predictions = listOf(File(case.folder, "predictions_best.jsonl"), File(folder, "predictions_best.jsonl")).map { file ->
                file.readLines().map { Json.parseToJsonElement(it).field("prediction") }
            }
            assertEquals(predictions[0], predictions[1])
        }
    }

    @Test
    fun `a run that Python began goes on as if Python went on`() {
        for (case in cases()) {
            val folder = File(temporary.root, "resumed-${case.folder.name}")
            case.folder.copyRecursively(folder)
            val whole = File(case.folder, "journal.bin").readBytes()
            // Half of the steps, and a torn record.
            val kept = whole.size - JournalFormat.recordBytes(1, case.journal.header.record) * (case.settings.steps / 2) + 5
            File(folder, "journal.bin").writeBytes(whole.copyOf(kept))
            SeedTune.open(case.bundle, 1).use {
                val result = it.tune(folder, case.train, case.settings, case.heldOut)
                assertEquals(case.settings.steps, result.steps)
                assertEquals(case.stateSha256, result.stateSha256)
            }
            assertArrayEquals(case.folder.name, whole, File(folder, "journal.bin").readBytes())
        }
    }

    @Test
    fun `a run that is stopped goes on, and other settings are refused`() {
        val case = cases().first()
        val folder = File(temporary.root, "stopped")
        SeedTune.open(case.bundle, 1).use {
            val result = it.tune(folder, case.train, case.settings) { event -> event !is TuningEvent.Step || event.step.step < 3 }
            assertEquals(3, result.steps)
            assertTrue(result.interrupted)
        }
        SeedTune.open(case.bundle, 1).use {
            assertThrows(SeedTuneException::class.java) { it.tune(folder, case.train, case.settings.copy(seed = case.settings.seed + 1)) }
        }
        SeedTune.open(case.bundle, 1).use { it.tune(folder, case.train, case.settings) }
        assertArrayEquals(File(case.folder, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
    }

    @Test
    fun `the tuned model answers on the session that tuned it`() {
        val case = cases().first { it.info.field("probabilities") !is JsonNull }
        SeedTune.open(case.bundle, 1).use { model ->
            model.tune(File(temporary.root, "answers"), case.train, case.settings)
            val row = Rows.read(case.train, model.bundle.manifest.languageModel.task).first()
            val expected = case.info.field("probabilities").items.map { it.jsonPrimitive.content.toFloat() }
            assertArrayEquals(expected.toFloatArray(), model.predict(row.fields).toFloatArray(), 1e-5f)
        }
    }

    @Test
    fun `the state of a run is restored from its journal, with its own bundle only`() {
        val cases = cases()
        for (case in cases) {
            SeedTune.open(case.bundle, 1).use {
                assertEquals(case.settings.steps, it.restore(case.folder))
                assertEquals(case.folder.name, case.stateSha256, it.stateSha256)
            }
        }
        val other = cases.first { it.bundle != cases[0].bundle }
        SeedTune.open(other.bundle, 1).use { assertThrows(SeedTuneException::class.java) { it.restore(cases[0].folder) } }
    }

    @Test
    fun `a bundle with an altered or missing file is refused`() {
        val case = cases().first()
        for (name in listOf("probe.onnx", "tokenizer.json", Bundle.WEIGHTS)) {
            val copy = File(temporary.root, "copy-$name").also { case.bundle.copyRecursively(it) }
            val file = File(copy, name)
            val raw = file.readBytes()
            file.writeBytes(raw.copyOf().also { it[raw.size / 2] = (it[raw.size / 2] + 1).toByte() })
            assertEquals(file.path, assertThrows(SeedTuneException::class.java) { SeedTune.open(copy) }.file)
            file.writeBytes(raw.copyOf(raw.size - 1))
            assertEquals(file.path, assertThrows(SeedTuneException::class.java) { SeedTune.open(copy) }.file)
            file.delete()
            assertEquals(file.path, assertThrows(SeedTuneException::class.java) { SeedTune.open(copy) }.file)
        }
    }
}
