package org.seedtune.engine.task

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable

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
}
