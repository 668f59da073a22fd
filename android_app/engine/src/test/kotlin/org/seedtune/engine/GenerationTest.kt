package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.generation.Finish
import org.seedtune.engine.generation.Generated
import org.seedtune.engine.generation.Prompt
import org.seedtune.engine.generation.Sampling
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings

/** Tuned bundles of a completion task and of classifiers of other reaches go on with prompts as Python does. */
class GenerationTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun bundles() = Golden.read("generation/bundles.json").items.map { it.text }

    private fun bundle(name: String) = File(Golden.read("generation/$name/info.json").field("bundle").text)

    private fun tuned(name: String) = SeedTune.open(bundle(name), 1).also { it.restore(Golden.file("generation/$name")) }

    private fun prompt(case: JsonElement): Prompt {
        val text = case.field("prompt").text
        return if (case.field("raw").jsonPrimitive.boolean) Prompt.Raw(text) else Prompt.Row(mapOf("text" to text))
    }

    private fun SeedTune.generated(case: JsonObject, onPiece: (String) -> Boolean = { true }): Generated {
        fun number(name: String) = case.field(name).jsonPrimitive
        val sampling = Sampling(number("temperature").double, number("top_p").double, number("seed").long)
        return generate(prompt(case), number("max_tokens").int, sampling, case.field("stop").items.map { it.text }, onPiece)
    }

    @Test
    fun `tokens, pieces and ends are Python's, the likeliest and drawn ones`() {
        for (name in bundles()) {
            tuned(name).use { model ->
                for (case in Golden.lines("generation/$name/generated.jsonl")) {
                    val pieces = ArrayList<String>()
                    val found = model.generated(case) { pieces.add(it) }
                    val told = "$name: $case"
                    assertEquals(told, case.field("prompt_ids").longs(), found.promptIds.map { it.toLong() })
                    assertEquals(told, case.field("ids").longs(), found.ids.map { it.toLong() })
                    assertEquals(told, case.field("pieces").items.map { it.text }, pieces.filter { it.isNotEmpty() })
                    assertEquals(told, case.field("text").text, found.text)
                    assertEquals(told, case.field("finish").text, found.finish.name.lowercase())
                }
            }
        }
    }

    @Test
    fun `a text is cancelled between tokens, and its model goes on with others`() {
        tuned("completion").use { model ->
            val case = Golden.lines("generation/completion/generated.jsonl").first { it.field("ids").items.size > 6 }
            for (stop in 1..4) {
                var asked = 0
                val pieces = StringBuilder()
                // The first question comes between what the untouched model reads and what the tuned one does.
                val found = model.generated(case) {
                    pieces.append(it)
                    ++asked <= stop
                }
                assertEquals(Finish.CANCELLED, found.finish)
                assertEquals(stop, found.ids.size)
                assertEquals(case.field("ids").longs().take(stop), found.ids.map { it.toLong() })
                assertEquals(pieces.toString(), found.text)
            }
            assertEquals(0, model.generated(case) { false }.ids.size)
            assertEquals(case.field("text").text, model.generated(case).text)
        }
    }

    @Test
    fun `a model that was tuned generates on the sessions that tuned it`() {
        val golden = Golden.file("generation/completion")
        val run = readJournal(File(golden, "journal.bin"))
        val train = File(Golden.read("generation/completion/info.json").field("train").text)
        SeedTune.open(bundle("completion"), 1).use { model ->
            model.tune(File(temporary.root, "run"), train, Settings.of(run.header.settings))
            val case = Golden.lines("generation/completion/generated.jsonl").first()
            assertEquals(case.field("text").text, model.generated(case).text)
        }
    }

    @Test
    fun `what cannot be asked is refused, each with what to do`() {
        val row = Prompt.Row(mapOf("text" to "good"))
        SeedTune.open(bundle("completion"), 1).use { model ->
            for ((what, action) in mapOf<String, () -> Unit>(
                "a field of the prompt is empty" to { model.generate(Prompt.Row(mapOf("text" to "  "))) },
                "the row has no field 'text'" to { model.generate(Prompt.Row(mapOf("message" to "good"))) },
                "the prompt is empty" to { model.generate(Prompt.Raw("")) },
                "the prompt is longer than the model takes" to { model.generate(Prompt.Raw("awful ".repeat(200))) },
                "no token may be generated" to { model.generate(row, maxTokens = 0) },
                "a stop text is empty" to { model.generate(row, stops = listOf("a", "")) },
                "temperature is out of range" to { model.generate(row, sampling = Sampling(temperature = -0.1)) },
                "top_p is out of range" to { model.generate(row, sampling = Sampling(topP = 0.0)) },
                "seed is out of range" to { model.generate(row, sampling = Sampling(seed = 1L shl 32)) },
            )) {
                val error = refused(action)
                assertEquals(what, error.what)
                assertTrue(error.message, !error.remedy.isNullOrEmpty())
            }
        }
        SeedTune.open(bundle("completion"), 1, 3_000_000_000).use { model ->
            assertTrue(refused { model.generate(row) }.what.startsWith("text is not generated within a memory limit"))
        }
        val runs = Golden.read("runs.json").items.map { it.text }
        for ((run, what) in mapOf(
            runs.first { "causal" in it } to "the bundle has no decode graph, so it cannot generate text",
            runs.first { "masked" in it } to "a masked language model generates no text",
        )) {
            SeedTune.open(File(Golden.read("runs/$run/info.json").field("bundle").text), 1).use { assertEquals(what, refused { it.generate(row) }.what) }
        }
    }

    @Test
    fun `a bundle whose host files are at the desk says where to generate`() {
        val whole = bundle("last")
        val copy = File(temporary.root, "desk").also { whole.copyRecursively(it) }
        val files = Manifest.read(copy).hostFiles
        assertTrue("$files", "decode.onnx" in files)
        files.forEach { assertTrue(File(copy, it).delete()) }
        SeedTune.open(copy, 1).use { model ->
            assertEquals("text cannot be generated here: the bundle's host files are at the desk", refused { model.generate(Prompt.Raw("good")) }.what)
        }
    }

    @Test
    fun `stop from another thread ends a text, and nothing can be asked afterwards`() {
        tuned("completion").use { model ->
            val row = Prompt.Row(mapOf("text" to "good"))
            assertThrows(StoppedException::class.java) { model.generate(row) { true.also { Thread(model::stop).apply { start() }.join() } } }
            assertThrows(StoppedException::class.java) { model.generate(row) }
        }
    }
}
