package org.seedtune.engine.data

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.SerializationException
import kotlinx.serialization.builtins.MapSerializer
import kotlinx.serialization.builtins.serializer
import kotlinx.serialization.encoding.CompositeDecoder
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.decodeStructure
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.task.Task

/**
 * One row of a data file.
 *
 * @property label the label's place in the task's labels, or null for a row without one.
 * @property line from 1.
 */
internal class Row(val fields: Map<String, String>, val label: Int?, val line: Int)

/**
 * Rows of JSONL files: one JSON object a line, checked against a task; other fields are ignored.
 */
internal object Rows {
    /**
     * The rows of [file].
     *
     * @param requireLabel false for rows to predict; a label that is there must be right all the same.
     * @throws SeedTuneException the file cannot be read, is empty, or has a row that the task cannot use; names the line.
     */
    fun read(file: File, task: Task, requireLabel: Boolean = true): List<Row> {
        val labels = labelNames(task)
        val rows = ArrayList<Row>()
        text(file).split('\n').forEachIndexed { index, line ->
            if (!isBlank(line)) rows += row(parse(line, file, index + 1), task, labels, "${file.path}:${index + 1}", index + 1, requireLabel)
        }
        if (rows.isEmpty()) throw SeedTuneException("the data file has no rows", file.path, rule = "at least one row", remedy = "check the path")
        return rows
    }

    private fun text(file: File): String {
        val raw = try {
            file.readBytes()
        } catch (error: IOException) {
            throw SeedTuneException("the data file cannot be read (${error.message})", file.path, remedy = "check its permissions", cause = error)
        }
        val text = try {
            Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(raw)).toString().removePrefix("\uFEFF")
        } catch (error: CharacterCodingException) {
            throw SeedTuneException("the data file is not UTF-8", file.path, rule = "UTF-8 text", remedy = "convert it", cause = error)
        }
        if ('\u0000' in text) {
            throw SeedTuneException("the data file holds a NUL character", file.path, rule = "plain UTF-8 text", remedy = "convert it")
        }
        return text
    }

    /** As Python has it: the next-line character is white space too. */
    private fun isBlank(text: String) = text.all { it.isWhitespace() || it == '\u0085' }

    private fun parse(line: String, file: File, number: Int): JsonObject {
        val where = "${file.path}:$number"
        val pairs = try {
            if (Json.parseToJsonElement(line) !is JsonObject) {
                throw SeedTuneException(
                    "this line is not a JSON object", where, line, "{\"text\": ..., \"label\": ...}", "write every row as an object",
                )
            }
            Json.decodeFromString(Pairs, line)
        } catch (error: SerializationException) {
            throw SeedTuneException(
                "this line is not JSON", where, line, "one JSON object a line", "correct or remove the line", error,
            )
        } catch (error: StackOverflowError) {
            throw SeedTuneException("this line is nested too deeply", where, line, remedy = "correct or remove the line", cause = error)
        }
        pairs.groupingBy { it.first }.eachCount().entries.find { it.value > 1 }?.let {
            throw SeedTuneException("the key '${it.key}' stands twice", where, line, "each key once", "correct or remove the line")
        }
        return JsonObject(pairs.toMap())
    }

    /** The entries of an object, of which a map would keep the last of two with the same key. */
    private object Pairs : DeserializationStrategy<List<Pair<String, JsonElement>>> {
        override val descriptor = MapSerializer(String.serializer(), JsonElement.serializer()).descriptor

        override fun deserialize(decoder: Decoder): List<Pair<String, JsonElement>> = decoder.decodeStructure(descriptor) {
            generateSequence { decodeElementIndex(descriptor).takeIf { it != CompositeDecoder.DECODE_DONE } }
                .map { decodeStringElement(descriptor, it) to decodeSerializableElement(descriptor, decodeElementIndex(descriptor), JsonElement.serializer()) }
                .toList()
        }
    }

    private fun labelNames(task: Task): Map<String, Int> {
        val spoken = task.labels.map { it.word.trim() }
        val names = LinkedHashMap<String, Int>()
        task.labels.forEachIndexed { index, label -> if (spoken.count { it == label.word.trim() } == 1) names[label.word.trim()] = index }
        task.labels.forEachIndexed { index, label -> names[label.name.trim()] = index }
        task.labels.forEachIndexed { index, label -> names[label.value] = index }
        return names
    }

    private fun row(given: JsonObject, task: Task, labels: Map<String, Int>, where: String, line: Int, requireLabel: Boolean): Row {
        val record = Conversations.fieldsOf(given, task, where, requireLabel)
        val fields = (task.fields + task.responseFields).associateWith { fieldText(record, it, where, task) }
        if (task.completes) return Row(fields, null, line)
        val stated = record[task.labelField]
        if (!requireLabel && (stated == null || stated is JsonNull || stated == JsonPrimitive(""))) return Row(fields, null, line)
        val key = labelKey(present(record, task.labelField, where), labels)
        val label = labels[key] ?: throw SeedTuneException(
            "unknown label", where, stated, "one of " + task.labels.joinToString { "'${it.value}' (${it.name})" },
            "correct the row, or add the label to the task",
        )
        return Row(fields, label, line)
    }

    /** How a label of the data is looked up: a number as its digits, a truth value as JSON spells it or as 0 and 1. */
    private fun labelKey(given: JsonElement, labels: Map<String, Int>): String? {
        val primitive = given as? JsonPrimitive ?: return null
        if (primitive.isString) return primitive.content.trim()
        return when (val text = primitive.content) {
            "true" -> if (text in labels) text else "1"
            "false" -> if (text in labels) text else "0"
            // A whole number as JSON spells it; the parser lets 01, +1 and words pass.
            else -> if (WHOLE_NUMBER.matches(text)) text.toBigInteger().toString() else null
        }
    }

    private val WHOLE_NUMBER = Regex("-?(0|[1-9][0-9]*)")

    private fun present(record: JsonObject, name: String, where: String): JsonElement =
        record[name]?.takeUnless { it is JsonNull } ?: throw SeedTuneException(
            "the field '$name' is missing", where, "fields: " + record.keys.joinToString(), "every row has '$name'", "add the field",
        )

    private fun fieldText(record: JsonObject, name: String, where: String, task: Task): String {
        val value = present(record, name, where) as? JsonPrimitive
        if (value == null || !value.isString) {
            throw SeedTuneException("the field '$name' is not text", where, record[name], "a string", "write it as a string")
        }
        val text = value.content
        val length = text.codePointCount(0, text.length)
        val problem = when {
            isBlank(text) -> "is empty"
            length > task.maxCharacters -> "is too long ($length characters of ${task.maxCharacters})"
            '\u0000' in text -> "holds a NUL character"
            text.codePoints().anyMatch { it in 0xD800..0xDFFF } -> "holds half of a surrogate pair"
            else -> return text
        }
        throw SeedTuneException("the field '$name' $problem", where, text, "plain text", "correct or remove the row")
    }
}
