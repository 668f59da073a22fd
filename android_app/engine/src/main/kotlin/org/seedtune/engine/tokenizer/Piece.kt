package org.seedtune.engine.tokenizer

/**
 * A part of a text on its way to tokens: code points after normalisation, and for each the place just behind the
 * character of the original text that it came from (counted in code points), which is all that truncation asks for.
 */
internal class Piece(val points: IntArray, val ends: IntArray) {
    init {
        require(points.size == ends.size) { "${points.size} code points with ${ends.size} ends" }
    }

    val size: Int get() = points.size

    fun slice(from: Int, until: Int) = Piece(points.copyOfRange(from, until), ends.copyOfRange(from, until))

    /** As a string, with its offsets in UTF-16 units mapped to code points: `places[unit]` is the code point there. */
    fun text(): String = String(points, 0, points.size)

    companion object {
        /** All of [text]. */
        fun of(text: String): Piece {
            val points = text.codePoints().toArray()
            return Piece(points, IntArray(points.size) { it + 1 })
        }
    }
}

/** Splits this piece at ([from], [until]) spans of code points, ascending and apart; the text between them stays as pieces. */
internal fun Piece.around(spans: List<IntRange>): List<Piece> {
    val pieces = ArrayList<Piece>()
    var place = 0
    for (span in spans) {
        if (span.first > place) pieces += slice(place, span.first)
        pieces += slice(span.first, span.last + 1)
        place = span.last + 1
    }
    if (place < size) pieces += slice(place, size)
    return pieces
}

/**
 * A token of a text.
 *
 * @property end where the text that it came from ends, in code points of the original text.
 * @property added the added token that was found there; null where the model found it.
 */
internal class Token(val id: Int, val end: Int, val added: AddedToken? = null)
