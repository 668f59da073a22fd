package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.run.Split
import org.seedtune.engine.task.CompiledTask
import org.seedtune.engine.task.Label
import org.seedtune.engine.task.Task
import org.seedtune.engine.tokenizer.Tokenizer

/** Rows whose text spells special tokens, whole and in parts, and tokens that the model's embedding lacks. */
class CompiledTaskTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun JsonElement.number(name: String) = field(name).jsonPrimitive.int

    private fun task(template: String, words: List<String>, maxTokens: Int = 512): Task {
        val labels = words.mapIndexed { place, word -> Label(place.toString(), word) }
        return Task("test", "classification", template, labels, truncate = "text", maxTokens = maxTokens)
    }

    private fun compiled(case: JsonElement): CompiledTask {
        val tokenizer = Tokenizer.open(Golden.file("spelled/${case.field("tokenizer").text}.json"))
        val task = task(case.field("template").text, case.field("words").items.map { it.text }, case.number("max_tokens"))
        return CompiledTask(task, tokenizer, case.field("masked").jsonPrimitive.boolean, "<mask>", "suffix", null, case.number("size"))
    }

    @Test
    fun `rows that spell special tokens become Python's tokens, and are refused where Python refuses them`() {
        var refused = 0
        for (case in Golden.read("spelled/cases.json").items) {
            val compiled = compiled(case)
            for (row in case.field("rows").items) {
                val fields = mapOf("text" to row.field("text").text)
                val told = "${case.field("tokenizer").text}, ${case.field("template").text}: ${fields["text"]}"
                if ("refused" in row.jsonObject) {
                    assertEquals(told, row.field("refused").text, refused { compiled.encode(fields) }.what)
                    refused++
                } else {
                    val encoded = compiled.encode(fields)
                    assertEquals(told, row.field("ids").longs(), encoded.ids.toList())
                    assertEquals(told, row.number("position"), encoded.position)
                    assertEquals(told, row.field("suffix").longs(), encoded.suffix?.map { it.toLong() })
                }
            }
        }
        assertTrue("some rows are refused", refused > 10)
    }

    /** Words and an added token; "is" is 3, and "superfilm", the added one, 6. */
    private val words = Tokenizer.parse(
        """
        {"added_tokens": [{"id": 0, "content": "[UNK]", "special": true}, {"id": 6, "content": "superfilm", "special": false}],
         "pre_tokenizer": {"type": "WhitespaceSplit"},
         "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
          "vocab": {"[UNK]": 0, "bad": 1, "good": 2, "is": 3, "film": 4, "a": 5}}}
        """,
    )

    private fun compiled(template: String, words: List<String>, size: Int) =
        CompiledTask(task(template, words), this.words, false, null, "suffix", null, size)

    @Test
    fun `a token that the embedding lacks is refused in a row, by file and line`() {
        val compiled = compiled("{text} is", listOf(" bad", " good"), 6)
        val file = File(temporary.root, "rows.jsonl")
        file.writeText("""{"text": "a film", "label": 1}""" + "\n" + """{"text": "a superfilm", "label": 1}""" + "\n")
        val error = refused { Split.load(file, compiled) }
        assertEquals("the row has a token that the model's embedding lacks", error.what)
        assertEquals("${file.path}:2", error.file)
        assertEquals(listOf(6), error.value)
        assertEquals(2, Split.load(file, compiled("{text} is", listOf(" bad", " good"), 7)).rows.size)
    }

    @Test
    fun `a token that the embedding lacks is refused in a template and as a label word`() {
        for ((what, make) in mapOf(
            "the template has a token that the model's embedding lacks" to { size: Int -> compiled("superfilm {text} is", listOf(" bad", " good"), size) },
            "a label word has a token that the model's embedding lacks" to { size: Int -> compiled("{text} is", listOf(" bad", " superfilm"), size) },
        )) {
            assertEquals(what, refused { make(6) }.what)
            make(7)
        }
    }

    @Test
    fun `the unknown token still stands for what is not known`() {
        val encoded = compiled("{text} is", listOf(" bad", " good"), 7).encode(mapOf("text" to "zebra [UNK] film"))
        assertEquals(listOf(0L, 0L, 4L, 3L), encoded.ids.toList())
    }
}
