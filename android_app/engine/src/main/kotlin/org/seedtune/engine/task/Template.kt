package org.seedtune.engine.task

import org.seedtune.engine.SeedTuneException

/** Fixed text, and the field that follows it or null. */
internal data class TemplatePart(val text: String, val field: String?)

/**
 * Templates: fixed text with named fields in braces. `{text}` stands for the field `text`, `{mask}` for the mask token of a
 * masked language model, `{{` and `}}` for braces.
 */
internal object Template {
    const val MASK_FIELD = "mask"
    private const val RULE = "{field} with a plain name; {{ and }} stand for braces"

    /**
     * [template] in its parts, in order.
     *
     * @throws SeedTuneException unbalanced braces, or a field without a plain name.
     */
    fun parts(template: String): List<TemplatePart> {
        val parts = ArrayList<TemplatePart>()
        val fixed = StringBuilder()
        var place = 0
        while (place < template.length) {
            val character = template[place]
            val doubled = place + 1 < template.length && template[place + 1] == character
            when {
                (character == '{' || character == '}') && doubled -> {
                    fixed.append(character)
                    place += 2
                }
                character == '{' -> {
                    val end = template.indexOf('}', place)
                    val name = if (end < 0) "" else template.substring(place + 1, end)
                    if (!isPlain(name)) throw unreadable(template)
                    parts += TemplatePart(fixed.toString(), name)
                    fixed.setLength(0)
                    place = end + 1
                }
                character == '}' -> throw unreadable(template)
                else -> {
                    fixed.append(character)
                    place++
                }
            }
        }
        if (fixed.isNotEmpty()) parts += TemplatePart(fixed.toString(), null)
        return parts
    }

    /** The data fields of [template] in order of appearance, each once, without the mask. */
    fun fields(template: String): List<String> =
        parts(template).mapNotNull { it.field }.filter { it != MASK_FIELD }.distinct()

    private fun isPlain(name: String): Boolean =
        name.isNotEmpty() && (Character.isUnicodeIdentifierStart(name[0]) || name[0] == '_') &&
            name.all { Character.isUnicodeIdentifierPart(it) }

    private fun unreadable(template: String) =
        SeedTuneException("the template cannot be read", value = template, rule = RULE, remedy = "write {{ or }} where a brace itself is meant")
}
