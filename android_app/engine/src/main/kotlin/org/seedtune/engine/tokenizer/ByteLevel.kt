package org.seedtune.engine.tokenizer

/**
 * Bytes as printable characters, GPT-2's way: a byte that is a printable Latin-1 character stands for itself, the other
 * 68 follow from U+0100 on, in order.
 */
internal object ByteLevel {
    private val CHARACTERS = IntArray(256).also { table ->
        var next = 256
        for (byte in 0..255) {
            table[byte] = if (byte in 33..126 || byte in 161..172 || byte in 174..255) byte else next++
        }
    }

    private val BYTES = HashMap<Char, Byte>().also { bytes -> CHARACTERS.forEachIndexed { byte, point -> bytes[point.toChar()] = byte.toByte() } }

    /** The bytes that [piece] spells; those of its own UTF-8 where a character of it spells none. */
    fun bytes(piece: String): ByteArray {
        val spelled = ByteArray(piece.length)
        piece.forEachIndexed { place, character -> spelled[place] = BYTES[character] ?: return piece.toByteArray() }
        return spelled
    }

    /** [piece] with every byte of its UTF-8 as a character; the bytes of one character all end where it does. */
    fun spelled(piece: Piece): Piece {
        val points = IntArrayBuilder(piece.size)
        val ends = IntArrayBuilder(piece.size)
        for (place in piece.points.indices) {
            forEachByte(piece.points[place]) {
                points.add(CHARACTERS[it])
                ends.add(piece.ends[place])
            }
        }
        return Piece(points.toArray(), ends.toArray())
    }

    private inline fun forEachByte(point: Int, use: (Int) -> Unit) {
        when {
            point < 0x80 -> use(point)
            point < 0x800 -> {
                use(0xC0 or (point shr 6))
                use(0x80 or (point and 0x3F))
            }
            point < 0x10000 -> {
                use(0xE0 or (point shr 12))
                use(0x80 or ((point shr 6) and 0x3F))
                use(0x80 or (point and 0x3F))
            }
            else -> {
                use(0xF0 or (point shr 18))
                use(0x80 or ((point shr 12) and 0x3F))
                use(0x80 or ((point shr 6) and 0x3F))
                use(0x80 or (point and 0x3F))
            }
        }
    }
}
