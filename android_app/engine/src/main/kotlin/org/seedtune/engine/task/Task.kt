package org.seedtune.engine.task

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import org.seedtune.engine.SeedTuneException

private val KINDS = setOf("classification", "completion")

/** One label: its [value] in the data, its [word] for the model, its [name] for people (also accepted in the data). */
@Serializable
data class Label(val value: String, val word: String, val name: String = "")

/** What a masked language model is asked instead; a bundle holds its task already resolved, so this is null there. */
@Serializable
data class MaskedVariant(val template: String, val words: Map<String, String> = emptyMap())

/**
 * A classification task by label words, or a completion task by prompts and responses, as in the bundle's manifest.
 *
 * @property truncate the field that is shortened, from its right end, when a row is too long.
 * @property maxTokens tokens of a row, special tokens included.
 * @property maxCharacters characters of one field; a longer row is refused.
 */
@Serializable
data class Task(
    val name: String,
    val kind: String,
    val template: String,
    val labels: List<Label> = emptyList(),
    val response: String = "",
    val truncate: String = "",
    @SerialName("max_tokens") val maxTokens: Int = 128,
    @SerialName("max_characters") val maxCharacters: Int = 20_000,
    @SerialName("label_field") val labelField: String = "label",
    val masked: MaskedVariant? = null,
) {
    val completes: Boolean get() = kind == "completion"

    /** The data fields of the template, in order of appearance, each once. */
    val fields: List<String> get() = Template.fields(template)

    /** The data fields of the response. */
    val responseFields: List<String> get() = Template.fields(response)

    /** @throws SeedTuneException its parts do not fit together, as Python checks more closely when a task is written. */
    internal fun check() {
        require(kind in KINDS, "this version knows no such kind of task", kind, KINDS.joinToString())
        require(truncate in fields, "the field to truncate is not in the template", truncate, fields.joinToString())
        require(maxCharacters > 0, "max_characters is out of range", maxCharacters, "> 0")
        require(labelField.isNotBlank() && labelField !in fields, "label_field is no field beside the template's", labelField, "another field")
        if (completes) {
            require(labels.isEmpty(), "a completion task has no labels", labels.map { it.value }, "none")
            require(responseFields.isNotEmpty(), "the response has no field", response, "a template")
        } else {
            require(labels.size >= 2, "a task needs labels to choose from", labels.map { it.value }, "at least two")
            for (values in listOf(labels.map { it.value }, labels.map { it.word }, labels.map { it.name })) {
                require(values.distinct().size == labels.size, "two labels are the same", values, "values, words and names of their own")
                require(values.none { it.isBlank() }, "a label is empty", values, "a value, a word and a name")
            }
        }
    }

    private fun require(holds: Boolean, what: String, value: Any, rule: String) {
        if (!holds) throw SeedTuneException(what, value = value, rule = rule)
    }
}
