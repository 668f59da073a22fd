package org.seedtune.engine.tokenizer

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive

/** A token that stands beside the model's vocabulary, and how it is found in a text. */
internal data class AddedToken(
    val id: Int,
    val content: String,
    val singleWord: Boolean,
    val takesSpaceBefore: Boolean,
    val takesSpaceBehind: Boolean,
    val normalized: Boolean,
    val special: Boolean,
) {
    val points: IntArray = content.codePoints().toArray()

    companion object {
        fun parseAll(element: JsonArray?): List<AddedToken> = element.orEmpty().map { entry ->
            val fields = entry as JsonObject
            AddedToken(
                fields.getValue("id").jsonPrimitive.int,
                fields.text("content"),
                fields.flag("single_word", false),
                fields.flag("lstrip", false),
                fields.flag("rstrip", false),
                fields.flag("normalized", true),
                fields.flag("special", false),
            )
        }
    }
}

/** A stretch of text that is either one added token, or ordinary text. */
internal class Stretch(val piece: Piece, val token: AddedToken?)

/** Finds [tokens] in a text: from the left, the longest first. */
internal class AddedTokens(tokens: List<AddedToken>) {
    private val longestFirst = tokens.filter { it.points.isNotEmpty() }.sortedByDescending { it.points.size }

    fun split(piece: Piece): List<Stretch> {
        if (longestFirst.isEmpty()) return listOf(Stretch(piece, null))
        val stretches = ArrayList<Stretch>()
        var start = 0
        var place = 0
        while (place < piece.size) {
            val token = longestFirst.firstOrNull { matches(it, piece.points, place) }
            if (token == null) {
                place++
                continue
            }
            val end = place + token.points.size
            val splitsWord = token.singleWord &&
                ((place > 0 && Unicode.isWord(piece.points[place - 1])) || (end < piece.size && Unicode.isWord(piece.points[end])))
            if (splitsWord) {
                place = end
                continue
            }
            var from = place
            var until = end
            if (token.takesSpaceBefore) while (from > start && Unicode.isWhiteSpace(piece.points[from - 1])) from--
            if (token.takesSpaceBehind) while (until < piece.size && Unicode.isWhiteSpace(piece.points[until])) until++
            if (from > start) stretches += Stretch(piece.slice(start, from), null)
            stretches += Stretch(piece.slice(from, until), token)
            start = until
            place = until
        }
        if (start < piece.size) stretches += Stretch(piece.slice(start, piece.size), null)
        return stretches
    }

    private fun matches(token: AddedToken, points: IntArray, place: Int): Boolean {
        if (place + token.points.size > points.size) return false
        return token.points.indices.all { points[place + it] == token.points[it] }
    }
}
