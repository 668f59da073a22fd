package org.seedtune.engine.tokenizer

import java.util.regex.Pattern
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject

/** Splits a piece into the pieces that the model sees one by one; the byte-level one also spells them in bytes. */
internal fun interface PreTokenizer {
    fun split(piece: Piece): List<Piece>
}

internal object PreTokenizers {
    /** The pre-tokenizer that `tokenizer.json` describes. */
    fun parse(element: JsonElement?): PreTokenizer {
        if (element == null || element is JsonNull) return PreTokenizer { listOf(it) }
        val fields = element as JsonObject
        return when (val type = fields.text("type")) {
            "Sequence" -> {
                val parts = (fields.getValue("pretokenizers") as JsonArray).map(::parse)
                PreTokenizer { piece -> parts.fold(listOf(piece)) { pieces, part -> pieces.flatMap(part::split) } }
            }
            "ByteLevel" -> byteLevel(fields.flag("add_prefix_space", true), fields.flag("use_regex", true))
            "Digits" -> digits(fields.flag("individual_digits", false))
            "Split" -> split(fields)
            "Whitespace" -> words()
            "WhitespaceSplit" -> PreTokenizer { apart(it, Unicode::isWhiteSpace, keep = false) }
            "Punctuation" -> PreTokenizer { apart(it, Unicode::isPunctuation, keep = true) }
            "BertPreTokenizer" -> PreTokenizer { piece ->
                apart(piece, Unicode::isWhiteSpace, keep = false).flatMap { apart(it, Unicode::isPunctuation, keep = true) }
            }
            else -> throw unsupported("pre-tokenizer", type)
        }
    }

    private fun byteLevel(addsSpace: Boolean, usesRegex: Boolean): PreTokenizer = PreTokenizer { whole ->
        var piece = whole
        if (addsSpace && piece.size > 0 && piece.points[0] != ' '.code) {
            piece = Piece(intArrayOf(' '.code) + piece.points, intArrayOf(piece.ends[0]) + piece.ends)
        }
        val parts = if (usesRegex) piece.around(matches(GPT2, piece)) else listOf(piece)
        parts.map(ByteLevel::spelled)
    }

    private fun digits(individual: Boolean): PreTokenizer = PreTokenizer { piece ->
        if (individual) {
            apart(piece, Unicode::isNumber, keep = true)
        } else {
            piece.around(runs(piece, Unicode::isNumber))
        }
    }

    private fun split(fields: JsonObject): PreTokenizer {
        val pattern = fields.getValue("pattern") as JsonObject
        val regex = if ("Regex" in pattern) portable(pattern.text("Regex")) else Pattern.quote(pattern.text("String"))
        val compiled = Pattern.compile(regex)
        val inverted = fields.flag("invert", false)
        return when (val behavior = fields.text("behavior")) {
            "Isolated" -> PreTokenizer { it.around(matches(compiled, it)) }
            "Removed" -> PreTokenizer { piece ->
                val found = matches(compiled, piece)
                if (inverted) found.map { piece.slice(it.first, it.last + 1) } else between(piece, found)
            }
            else -> throw unsupported("behavior of a Split", behavior)
        }
    }

    private fun words(): PreTokenizer = PreTokenizer { piece ->
        val words = runs(piece, Unicode::isWord)
        val others = runs(piece) { !Unicode.isWord(it) && !Unicode.isWhiteSpace(it) }
        (words + others).sortedBy { it.first }.map { piece.slice(it.first, it.last + 1) }
    }

    /** Every code point of the kind stands alone (or is dropped), and the text between stays whole. */
    private fun apart(piece: Piece, kind: (Int) -> Boolean, keep: Boolean): List<Piece> {
        val spans = piece.points.indices.filter { kind(piece.points[it]) }.map { it..it }
        return if (keep) piece.around(spans) else between(piece, spans)
    }

    private fun between(piece: Piece, spans: List<IntRange>): List<Piece> {
        val pieces = ArrayList<Piece>()
        var place = 0
        for (span in spans) {
            if (span.first > place) pieces += piece.slice(place, span.first)
            place = span.last + 1
        }
        if (place < piece.size) pieces += piece.slice(place, piece.size)
        return pieces
    }

    private fun runs(piece: Piece, kind: (Int) -> Boolean): List<IntRange> {
        val found = ArrayList<IntRange>()
        var start = -1
        for (place in 0..piece.size) {
            val inside = place < piece.size && kind(piece.points[place])
            if (inside && start < 0) start = place
            if (!inside && start >= 0) {
                found += start until place
                start = -1
            }
        }
        return found
    }

    /** Spans of code points that [pattern] matches, empty ones left out. */
    private fun matches(pattern: Pattern, piece: Piece): List<IntRange> {
        val text = piece.text()
        val matcher = pattern.matcher(text)
        val found = ArrayList<IntRange>()
        var unit = 0
        var point = 0
        while (matcher.find()) {
            if (matcher.end() == matcher.start()) continue
            val start = point + text.codePointCount(unit, matcher.start())
            val end = start + text.codePointCount(matcher.start(), matcher.end())
            found += start until end
            unit = matcher.end()
            point = end
        }
        return found
    }

    /** A regular expression of the Rust library, so that Java and Android read it alike. */
    private fun portable(regex: String): String {
        val out = StringBuilder()
        var inClass = false
        var place = 0
        while (place < regex.length) {
            val two = regex.substring(place, minOf(place + 2, regex.length))
            when {
                two == "\\s" -> out.append(if (inClass) Unicode.WHITE_SPACE_CLASS else "[${Unicode.WHITE_SPACE_CLASS}]")
                two == "\\S" && !inClass -> out.append("[^${Unicode.WHITE_SPACE_CLASS}]")
                two == "\\S" || two == "\\w" || two == "\\W" -> throw unsupported("regular expression", regex)
                two.length == 2 && two[0] == '\\' -> out.append(two)
                else -> {
                    if (regex[place] == '[') inClass = true
                    if (regex[place] == ']') inClass = false
                    out.append(regex[place])
                    place -= 1
                }
            }
            place += 2
        }
        return out.toString().replace("(?i:", "(?iu:")
    }

    private val GPT2: Pattern =
        Pattern.compile(portable("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"))
}
