package org.seedtune.engine.task

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.tokenizer.AddedToken
import org.seedtune.engine.tokenizer.Tokenizer

/**
 * The tokens of a text with the special tokens around it.
 *
 * @property appended how many of those stand at the end; all of them around a text without tokens.
 * @property maskPlace where the token that `{mask}` stands for is, or null if there is none.
 */
internal class RowIds(val ids: IntArray, val appended: Int, val maskPlace: Int?)

/**
 * Text to token ids, where text of a row can never become a special token.
 *
 * Special tokens that the template asks for, `{mask}` first of all, go in as stand-ins of private-use characters, which the
 * tokenizer is told to find; so whitespace before them is handled as the tokenizer handles it.
 */
internal class Encoder(template: String, private val whole: Tokenizer, maskToken: String?, response: String = "") {
    private val special = whole.special
    private val standIns = LinkedHashMap<String, AddedToken>()
    val maskId: Int? = maskToken?.let { special[it]?.id }
    private val maskText = if (maskId != null) standIn(maskToken!!) else ""
    private val parts = protectedParts(template)
    private val responseParts = protectedParts(response)
    private var tokenizer = whole.with(standIns.values.toList())

    /** The row as one string, or, [toLastField], without what the template says after its last field. */
    fun render(fields: Map<String, String>, toLastField: Boolean = false): String {
        val last = parts.indexOfLast { it.field != null && it.field != Template.MASK_FIELD }
        return join(if (toLastField) parts.subList(0, last + 1) else parts, fields)
    }

    /** What follows the row in a completion task. */
    fun renderResponse(fields: Map<String, String>): String = join(responseParts, fields)

    fun specialId(token: String?): Int? = token?.let { special[it]?.id }

    /** Ids that every row has, whatever its fields: of the fixed text, the mask and the special tokens around it. */
    fun fixedIds(): Set<Int> =
        (ids(maskText).ids.toList() + (parts + responseParts).flatMap { tokenizer.plainIds(it.text).toList() }).toSet()

    /**
     * The tokens of [text], as [render] gave it.
     *
     * @throws SeedTuneException a field spells a special token that the tokenizer cannot read as text, or text that it cannot encode.
     */
    fun ids(text: String): RowIds {
        val tokens = tokenizer.tokens(text)
        tokens.firstOrNull { it.id in tokenizer.refusedIds && it.added == null }?.let { token ->
            throw SeedTuneException(
                "the row's text holds a special token of the tokenizer, which has no other spelling for it",
                value = special.values.first { it.id == token.id }.content,
                rule = "special tokens come from the template and the tokenizer only",
                remedy = "remove it from the row",
            )
        }
        val mask = tokens.indexOfFirst { maskText.isNotEmpty() && it.added?.content == maskText }
        val ids = tokenizer.before + tokens.map { it.id } + tokenizer.behind
        // Around nothing, all of them stand at the end: a begin token alone is no context.
        val appended = if (tokens.isEmpty()) ids.size else tokenizer.behind.size
        return RowIds(ids.toIntArray(), appended, if (mask < 0) null else tokenizer.before.size + mask)
    }

    /** [text] with a stand-in for each special token that it spells, for [ids]. */
    fun protected(text: String): String {
        val known = standIns.size
        return protect(text).also { if (standIns.size > known) tokenizer = whole.with(standIns.values.toList()) }
    }

    /** The text of [ids]; special tokens have none. */
    fun text(ids: List<Int>): String = whole.text(ids)

    fun plainIds(text: String): IntArray = tokenizer.plainIds(text)

    /** [text] without its last [excess] tokens and the space before them; never the whole text. */
    fun shortened(text: String, excess: Int): String {
        val ends = tokenizer.ends(text)
        val keep = ends.size - excess
        val end = if (keep > 0) ends[keep - 1] else 0
        // Several tokens may share one character (the bytes of an emoji): then the cut would change nothing.
        val points = minOf(end, text.codePointCount(0, text.length) - 1)
        return text.substring(0, text.offsetByCodePoints(0, points)).trimEnd(::isSpace)
    }

    private fun join(pieces: List<TemplatePart>, fields: Map<String, String>): String = buildString {
        for (piece in pieces) {
            append(piece.text)
            if (piece.field == Template.MASK_FIELD) append(maskText) else if (piece.field != null) append(field(fields, piece.field))
        }
    }

    private fun field(fields: Map<String, String>, name: String): String {
        val text = fields[name] ?: throw SeedTuneException(
            "the row has no field '$name'", value = fields.keys.sorted(), rule = "every field of the template", remedy = "add the field",
        )
        if (STAND_IN in text) {
            throw SeedTuneException(
                "the field '$name' contains a reserved character", rule = "no private-use character U+F5EED", remedy = "remove it from the row",
            )
        }
        return text
    }

    private fun protectedParts(template: String) = Template.parts(template).map { TemplatePart(protect(it.text), it.field) }

    /** [fixed] text of the template with a stand-in for each special token in it, the longest match first. */
    private fun protect(fixed: String): String = buildString {
        val longestFirst = special.keys.filter { it.isNotEmpty() }.sortedByDescending { it.length }
        var place = 0
        while (place < fixed.length) {
            val content = longestFirst.firstOrNull { fixed.startsWith(it, place) }
            append(if (content == null) fixed[place] else standIn(content))
            place += content?.length ?: 1
        }
    }

    private fun standIn(content: String): String {
        val token = special.getValue(content)
        return standIns.getOrPut(content) {
            token.copy(content = "$STAND_IN${token.id}$STAND_IN", normalized = false, special = false)
        }.content
    }

    companion object {
        /** A private-use character (plane 15): no text has it, and where one does, the row is refused. */
        private val STAND_IN = String(Character.toChars(0xF5EED))

        /** What Python's str.isspace calls a space. */
        internal fun isSpace(character: Char): Boolean =
            character in '\u0009'..'\u000D' || character in '\u001C'..'\u0020' || character == '\u0085' || character == '\u00A0' ||
                character == '\u1680' || character in '\u2000'..'\u200A' || character == '\u2028' || character == '\u2029' ||
                character == '\u202F' || character == '\u205F' || character == '\u3000'
    }
}
