package org.seedtune.engine.tokenizer

/**
 * Bytes that may be no UTF-8 to text: one U+FFFD for each longest part that could begin a character (Unicode 15, section 3.9, "U+FFFD
 * Substitution of Maximal Subparts"), as Rust's library has it. Java and Android each count halves of surrogates otherwise.
 */
internal fun lossyUtf8(bytes: ByteArray): String = buildString {
    var place = 0
    while (place < bytes.size) {
        val first = bytes[place].toInt() and BYTE
        val size = sizeOf(first)
        var point = if (size == 1) first else first and (LEAD_BITS shr size)
        var read = 1
        while (read < size && place + read < bytes.size) {
            val next = bytes[place + read].toInt() and BYTE
            if (next !in if (read == 1) secondOf(first) else CONTINUATION) break
            point = (point shl 6) or (next and 0x3F)
            read++
        }
        if (size > 0 && read == size) appendCodePoint(point) else append('\uFFFD')
        place += read
    }
}

private const val BYTE = 0xFF
private const val LEAD_BITS = 0xFF shr 1
private val CONTINUATION = 0x80..0xBF

/** Bytes of the character that [first] begins; 0 where it begins none. */
private fun sizeOf(first: Int): Int = when (first) {
    in 0x00..0x7F -> 1
    in 0xC2..0xDF -> 2
    in 0xE0..0xEF -> 3
    in 0xF0..0xF4 -> 4
    else -> 0
}

/** What may follow [first]: nothing overlong, no half of a surrogate, nothing beyond Unicode. */
private fun secondOf(first: Int): IntRange = when (first) {
    0xE0 -> 0xA0..0xBF
    0xED -> 0x80..0x9F
    0xF0 -> 0x90..0xBF
    0xF4 -> 0x80..0x8F
    else -> CONTINUATION
}
