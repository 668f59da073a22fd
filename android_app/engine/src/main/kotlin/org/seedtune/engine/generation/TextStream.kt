package org.seedtune.engine.generation

/**
 * Tokens to text while they come: characters that are whole, and nothing from a stop text on.
 *
 * A token may end within a character (the bytes of an emoji), and what a token spells may depend on the one before it. So the text is
 * what decoding the tokens adds to decoding those before them; an unfinished character is kept back, and spelled with U+FFFD where the
 * text ends in one.
 *
 * @param decoded the text of tokens.
 * @param before the prompt's ids, whose text is not part of it.
 * @param stops texts that end it; they are not part of it either.
 */
internal class TextStream(private val decoded: (List<Int>) -> String, before: IntArray, private val stops: List<String>) {
    private val ids = before.takeLast(BEFORE_TOKENS).toMutableList()
    private var certain = ids.size
    private var pending = ""
    private val given = StringBuilder()

    /** All that was given out. */
    val text: String get() = given.toString()

    /** Whether a stop text was met. */
    var isStopped = false
        private set

    /** Takes the token [id] and returns the text that is certain now. */
    fun add(id: Int): String {
        ids += id
        return give(newText(isEnd = false), isEnd = false)
    }

    /** What is left at the end, where nothing may be waited for any longer. */
    fun finish(): String = give(newText(isEnd = true), isEnd = true)

    private fun newText(isEnd: Boolean): String {
        val before = decoded(ids.take(certain))
        val whole = decoded(ids)
        if (!isEnd && (whole.endsWith(UNFINISHED) || !whole.startsWith(before))) return ""
        val added = whole.withoutPoints(before.codePointCount(0, before.length))
        if (added.isNotEmpty()) {
            // Only what the next token may depend on is decoded again.
            while (ids.size > BEFORE_TOKENS) ids.removeAt(0)
            certain = ids.size
        }
        return added
    }

    /** This without its first [count] code points, which are what Python counts. */
    private fun String.withoutPoints(count: Int): String =
        if (codePointCount(0, length) <= count) "" else substring(offsetByCodePoints(0, count))

    private fun give(added: String, isEnd: Boolean): String {
        if (isStopped) return ""
        pending += added
        val place = stops.map { pending.indexOf(it) }.filter { it >= 0 }.minOrNull()
        if (place != null) isStopped = true
        val end = place ?: pending.length - (if (isEnd) 0 else heldBack())
        val piece = pending.take(end)
        pending = pending.drop(end)
        given.append(piece)
        return piece
    }

    /** Characters at the end that may be the beginning of a stop text. */
    private fun heldBack(): Int {
        val longest = stops.maxOfOrNull { it.length - 1 } ?: 0
        return (minOf(longest, pending.length) downTo 1).firstOrNull { size -> stops.any { it.startsWith(pending.takeLast(size)) } } ?: 0
    }

    private companion object {
        const val UNFINISHED = '\uFFFD'

        /** Tokens of the prompt that the first token is read behind: enough for any space that depends on them. */
        const val BEFORE_TOKENS = 4
    }
}
