package org.seedtune.engine

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.bundle.Manifest

class ManifestTest {
    private val text = """
        {"format_version": 6, "seedtune_version": "0.1.0",
         "objective": {"kind": "language_model",
          "model": {"source": "tiny", "architecture": "Llama", "family": "causal", "parameters": 5000000000, "hidden_size": 16, "vocabulary_size": 300,
           "max_positions": 128, "padding_id": 2, "mask_token": null, "unknown_token": "<unk>", "end_token": null},
          "task": {"name": "sentiment", "kind": "classification", "template": "{text} It was", "labels": [{"value": "0", "word": " bad", "name": "negative"}, {"value": "1", "word": " good", "name": "positive"}],
           "response": "", "truncate": "text", "max_tokens": 128, "max_characters": 20000, "label_field": "label", "masked": null},
          "label_word_ids": [7, 9],
          "scope": "last", "context": {"layers": 2, "key_heads": 1, "head_size": 8, "storage": "int8", "entering": 16}},
         "storage": "int8",
         "state": {"parameters": 64, "rank": 1, "adapter_seed": 3, "targets": [
          {"name": "q", "lora_a": "q.a", "offset": 0, "out_features": 32, "in_features": 16, "rank": 1},
          {"name": "v", "lora_a": "v.a", "offset": 32, "out_features": 16, "in_features": 16, "rank": 1}]},
         "files": {"probe.onnx": {"size_bytes": 10, "sha256": "ab"}}, "check": null}
    """.trimIndent()

    private fun parse(changed: String) = Manifest.parse(changed, "manifest.json")

    @Test
    fun `the objective is a language model with its task and its contexts`() {
        val manifest = parse(text)
        val objective = manifest.languageModel
        assertEquals("sentiment", objective.task.name)
        assertEquals(5_000_000_000, objective.model.parameters)
        assertEquals(listOf(7, 9), objective.labelWordIds)
        assertEquals(ContextLayout(2, 1, 8, "int8", 16), objective.context)
        assertEquals("last", objective.scope)
        assertEquals(2, manifest.state.targets.size)
        val whole = parse(text.replace(Regex("""\{"layers".*?\}"""), "null").replace("\"last\"", "\"all\""))
        assertNull(whole.languageModel.context)
        assertEquals("all", whole.languageModel.scope)
    }

    @Test
    fun `an objective of a kind that is not known is refused by name`() {
        for (kind in listOf("heads", "scan", "")) {
            val error = refused { parse(text.replace("language_model", kind)) }
            assertEquals("the bundle has an objective of a kind that this version does not know", error.what)
            assertEquals("objective.kind = $kind", error.value)
            assertEquals("language_model, head", error.rule)
            assertEquals("manifest.json", error.file)
        }
        assertEquals("objective.kind = null", refused { parse(text.replace("\"kind\": \"language_model\",", "")) }.value)
    }

    @Test
    fun `other formats are refused, older ones to be exported again`() {
        val remedies = mapOf(4 to "export the bundle again with this version", 1 to "export the bundle again with this version", 7 to "update the app")
        for ((version, remedy) in remedies) {
            val error = refused { parse(text.replace("\"format_version\": 6", "\"format_version\": $version")) }
            assertEquals(version, error.value)
            assertEquals("format_version 6", error.rule)
            assertEquals(remedy, error.remedy)
        }
    }

    @Test
    fun `a field too many, one too few or a layout that does not add up is refused`() {
        val changes = listOf(
            "\"storage\": \"int8\",\n" to "\"storage\": \"int8\", \"task\": {},\n",
            "\"label_word_ids\": [7, 9]," to "",
            "\"seedtune_version\": \"0.1.0\"," to "",
            "\"kind\": \"language_model\"," to "\"kind\": \"language_model\", \"heads\": 3,",
            "\"kind\": \"language_model\"," to "\"kind\": [],",
            "\"offset\": 32" to "\"offset\": 31",
            "\"offset\": 32" to "\"offset\": 0",
            "\"parameters\": 64" to "\"parameters\": 32",
            "\"format_version\": 6" to "\"format_version\": []",
        )
        for ((old, new) in changes) {
            assertTrue(old, old in text)
            assertEquals(old, "manifest.json", assertThrows(old, SeedTuneException::class.java) { parse(text.replace(old, new)) }.file)
        }
        for (broken in listOf("", "[]", "{", text.dropLast(5))) assertThrows(broken, SeedTuneException::class.java) { parse(broken) }
    }
}
