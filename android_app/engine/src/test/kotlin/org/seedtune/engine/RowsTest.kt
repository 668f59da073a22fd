package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.decodeFromJsonElement
import kotlinx.serialization.json.int
import kotlinx.serialization.json.intOrNull
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.data.Row
import org.seedtune.engine.data.Rows
import org.seedtune.engine.task.Label
import org.seedtune.engine.task.Task

/** Data files are read as Python reads them, or refused where Python refuses. */
class RowsTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val task = Task("t", "classification", "{text}:", listOf(Label("0", " bad", "negative"), Label("1", " good", "positive")))

    private fun read(content: String, task: Task = this.task): List<Row> =
        Rows.read(File(temporary.root, "x.jsonl").apply { writeText(content) }, task)

    @Test
    fun `rows and refusals are Python's, conversations among them`() {
        for (name in listOf("row-files.json", "conversation-files.json")) {
            val golden = Golden.read(name)
            val task = Json.decodeFromJsonElement<Task>(golden.field("task"))
            for (file in golden.field("files").items) {
                val content = file.field("content").text
                val expected = file.field("rows")
                if (expected is JsonNull) {
                    assertTrue(content, runCatching { read(content, task) }.exceptionOrNull() is SeedTuneException)
                    continue
                }
                val rows = expected.items.map { row ->
                    Triple(row.items[0].jsonObject.mapValues { it.value.text }, row.items[1].jsonPrimitive.intOrNull, row.items[2].jsonPrimitive.int)
                }
                assertEquals(content, rows, read(content, task).map { Triple(it.fields, it.label, it.line) })
            }
        }
    }

    @Test
    fun `a key that stands twice is named, with its line`() {
        val refusal = refused { read("{\"text\": \"a\", \"label\": 0}\n{\"text\": \"a\", \"label\": 0, \"label\": 1}\n") }
        assertTrue(refusal.message, "x.jsonl:2" in refusal.message!! && "'label' stands twice" in refusal.message!!)
    }

    @Test
    fun `a line nested deeper than the stack is refused with its number`() {
        val nested = "[".repeat(100_000) + "]".repeat(100_000)
        val refusal = refused { read("{\"text\": \"a\", \"label\": 0}\n{\"text\": \"a\", \"label\": 0, \"x\": $nested}\n") }
        assertTrue(refusal.message, "x.jsonl:2" in refusal.message!! && "nested too deeply" in refusal.message!!)
    }
}
