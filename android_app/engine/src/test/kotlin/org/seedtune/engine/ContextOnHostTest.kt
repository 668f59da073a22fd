package org.seedtune.engine

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Rows
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.TuningEvent

/** A bundle whose host files stayed at the desk, and contexts that Python made there. */
class ContextOnHostTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val name = Golden.read("runs.json").items.map { it.text }.first { it.endsWith("-True") }
    private val run = Golden.file("runs/$name")
    private val info = Golden.read("runs/$name/info.json")
    private val desk = File(info.field("bundle").text)
    private val train = File(info.field("train").text)
    private val heldOut = File(info.field("eval").text)
    private val made = File(run, "contexts")
    private val settings = Settings.of(readJournal(File(run, "journal.bin")).header.settings)

    private fun phone(): File {
        val folder = File(temporary.root, "phone")
        desk.copyRecursively(folder)
        hostFiles().forEach { assertTrue(File(folder, it).delete()) }
        return folder
    }

    private fun hostFiles() = Bundle.open(desk).manifest.hostFiles

    @Test
    fun `a run on what the desk made is the run at the desk, to the byte, and writes no cache`() {
        val before = made.listFiles()!!.associate { it.name to it.readBytes().toList() }
        val folder = File(temporary.root, "run")
        SeedTune.open(phone(), 1).use { model ->
            assertFalse(model.bundle.computesContexts)
            assertEquals(Bundle.open(desk).sha256, model.bundle.sha256)
            model.tune(folder, train, settings, heldOut, contexts = made) { event ->
                assertFalse(event is TuningEvent.CachingContexts)
                true
            }
            assertEquals(info.field("state_sha256").text, model.stateSha256)
        }
        assertArrayEquals(File(run, "journal.bin").readBytes(), File(folder, "journal.bin").readBytes())
        assertFalse(File(folder, "contexts").exists())
        assertEquals(before, made.listFiles()!!.associate { it.name to it.readBytes().toList() })
    }

    @Test
    fun `within a memory limit too, and from the folder of the run`() {
        val folder = File(temporary.root, "run")
        made.copyRecursively(File(folder, "contexts"))
        SeedTune.open(phone(), 1, 2_000_000_000).use { it.tune(folder, train, settings.copy(steps = 3), heldOut) }
        assertEquals(3, readJournal(File(folder, "journal.bin")).steps)
    }

    @Test
    fun `rows without a context are refused before the first step, with their place and what to do`() {
        val more = File(temporary.root, "more.jsonl")
        val rows = train.readLines().filter { it.isNotBlank() }
        more.writeText((rows + "{\"text\": \"a song that nobody knows\", \"label\": \"0\"}").joinToString("\n", postfix = "\n"))
        val phone = phone()
        val folder = File(temporary.root, "run")
        val cases = listOf(Triple("train", more, null), Triple("eval", train, more))
        for ((split, learnt, kept) in cases) {
            val error = refused { SeedTune.open(phone, 1).use { it.tune(folder, learnt, settings, kept, contexts = made) } }
            assertEquals("1 of ${rows.size + 1} rows ($split) have no context in the cache, and what computes contexts is at the desk", error.what)
            assertEquals("${more.path}:${rows.size + 1}", error.file)
            assertTrue(error.remedy, "seedtune cache phone --data more.jsonl --out contexts --name $split" in error.remedy!!)
            assertTrue(error.rule, Bundle.CONTEXT_WEIGHTS in error.rule!!)
        }
        assertTrue(refused { SeedTune.open(phone, 1).use { it.tune(folder, train, settings) } }.what.startsWith("${rows.size} of"))
        assertFalse(File(folder, "journal.bin").exists())
    }

    @Test
    fun `questions are answered from the cache, or refused`() {
        val phone = phone()
        val task = Bundle.open(desk).manifest.languageModel.task
        val row = Rows.read(train, task).first().fields
        SeedTune.open(desk, 1).use { whole ->
            SeedTune.open(phone, 1).use { model ->
                assertEquals(whole.evaluate(heldOut).loss, model.evaluate(heldOut, contexts = made).loss, 2e-2)
                assertArrayEquals(whole.predict(row).toFloatArray(), model.predict(row, made).toFloatArray(), 2e-2f)
                assertEquals("1 of 1 rows (rows) have no context in the cache, and what computes contexts is at the desk", refused { model.predict(row) }.what)
                refused { model.evaluate(heldOut) }
            }
        }
    }

    @Test
    fun `some host files without the others, or any other file missing, are refused by name`() {
        for (missing in hostFiles() + listOf("probe.onnx", Bundle.WEIGHTS, "probe.stage0.onnx")) {
            val copy = File(temporary.root, "without-$missing").also { desk.copyRecursively(it) }
            File(copy, missing).delete()
            val error = refused { SeedTune.open(copy) }
            assertTrue("${error.message}", missing in error.message!!)
        }
        val forged = File(temporary.root, "forged").also { desk.copyRecursively(it) }
        val manifest = File(forged, "manifest.json")
        for (name in listOf("probe.onnx", "tokenizer.json")) {
            manifest.writeText(File(desk, "manifest.json").readText().replace(Regex("\"host_files\": \\["), "\"host_files\": [\"$name\", "))
            File(forged, name).delete()
            assertEquals("the manifest's host files are not those that only the computing of contexts reads", refused { SeedTune.open(forged) }.what)
        }
    }

    @Test
    fun `what contexts cost is known before, and is what their files hold`() {
        val nowhere = File(temporary.root, "nowhere")
        val before = SeedTune.contextCost(desk, nowhere, train, heldOut)!!
        assertEquals(before.rows, before.missingRows)
        assertEquals(before.totalBytes, before.missingBytes)
        assertTrue(before.computable)
        // Beside its entries a file has its beginning, of less than 512 bytes.
        val held = made.listFiles { file -> file.name.endsWith(".contexts") }!!.sumOf { it.length() }
        assertTrue("$held ${before.totalBytes}", held - before.totalBytes in 0L until 1024L)
        assertEquals(before.totalBytes / before.rows, before.bytesPerRow)
        val after = SeedTune.contextCost(phone(), nowhere, train, heldOut, made)!!
        assertEquals(before.totalBytes, after.totalBytes)
        assertEquals(0, after.missingRows)
        assertFalse(after.computable)
        val whole = Golden.read("runs/${Golden.read("runs.json").items[0].text}/info.json")
        assertNull(SeedTune.contextCost(File(whole.field("bundle").text), nowhere, train))
        assertFalse(nowhere.exists())
    }
}
