package org.seedtune.engine.tokenizer

import java.text.Normalizer.Form
import java.util.Locale
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject

/** Changes text before it is split; each code point remembers what it came from. */
internal fun interface Normalizer {
    fun normalize(piece: Piece): Piece
}

internal object Normalizers {
    /** The normalizer that `tokenizer.json` describes. */
    fun parse(element: JsonElement?): Normalizer {
        if (element == null || element is JsonNull) return Normalizer { it }
        val fields = element as JsonObject
        return when (val type = fields.text("type")) {
            "Sequence" -> {
                val parts = (fields.getValue("normalizers") as JsonArray).map(::parse)
                Normalizer { piece -> parts.fold(piece) { before, part -> part.normalize(before) } }
            }
            "Lowercase" -> Normalizer(::lowercase)
            "StripAccents" -> Normalizer(::withoutMarks)
            "NFC" -> composed(Form.NFC)
            "NFD" -> Normalizer { decomposed(it, Form.NFD) }
            "NFKD" -> Normalizer { decomposed(it, Form.NFKD) }
            "NFKC" -> composed(Form.NFKC)
            "BertNormalizer" -> bert(fields)
            else -> throw unsupported("normalizer", type)
        }
    }

    private fun bert(fields: JsonObject): Normalizer {
        val lowercases = fields.flag("lowercase", true)
        val strips = fields["strip_accents"]?.takeUnless { it is JsonNull }?.let { fields.flag("strip_accents", false) } ?: lowercases
        val steps = ArrayList<(Piece) -> Piece>()
        if (fields.flag("clean_text", true)) steps += ::cleaned
        if (fields.flag("handle_chinese_chars", true)) steps += ::spacedIdeographs
        if (strips) steps += { withoutMarks(decomposed(it, Form.NFD)) }
        if (lowercases) steps += ::lowercase
        return Normalizer { piece -> steps.fold(piece) { before, step -> step(before) } }
    }

    private fun cleaned(piece: Piece): Piece = mapped(piece) { point ->
        when {
            point == 0 || point == 0xFFFD || Unicode.isControl(point) -> NOTHING
            Unicode.isWhiteSpace(point) -> SPACE
            else -> intArrayOf(point)
        }
    }

    private fun spacedIdeographs(piece: Piece): Piece =
        mapped(piece) { if (Unicode.isIdeograph(it)) intArrayOf(' '.code, it, ' '.code) else intArrayOf(it) }

    private fun lowercase(piece: Piece): Piece =
        mapped(piece) { String(Character.toChars(it)).lowercase(Locale.ROOT).codePoints().toArray() }

    private fun withoutMarks(piece: Piece): Piece = mapped(piece) {
        if (Character.getType(it).toByte() == Character.NON_SPACING_MARK) NOTHING else intArrayOf(it)
    }

    // One character at a time: combining marks keep the order they were written in, which matters to nobody here.
    private fun decomposed(piece: Piece, form: Form): Piece =
        mapped(piece) { java.text.Normalizer.normalize(String(Character.toChars(it)), form).codePoints().toArray() }

    /** A character and the marks behind it are composed together; of these, ends are near the truth and no more. */
    private fun composed(form: Form) = Normalizer { piece ->
        if (java.text.Normalizer.isNormalized(piece.text(), form)) return@Normalizer piece
        val points = ArrayList<Int>()
        val ends = ArrayList<Int>()
        var start = 0
        while (start < piece.size) {
            var end = start + 1
            while (end < piece.size && !startsAnew(piece.points[end])) end++
            val found = java.text.Normalizer.normalize(String(piece.points, start, end - start), form).codePoints().toArray()
            found.forEachIndexed { place, point ->
                points += point
                ends += piece.ends[minOf(start + place, end - 1)]
            }
            start = end
        }
        Piece(points.toIntArray(), ends.toIntArray())
    }

    // Hangul vowels and finals compose with what stands before them too.
    private fun startsAnew(point: Int): Boolean = !Unicode.isMark(point) && point !in 0x1160..0x11FF

    private fun mapped(piece: Piece, change: (Int) -> IntArray): Piece {
        val points = IntArrayBuilder(piece.size)
        val ends = IntArrayBuilder(piece.size)
        for (place in piece.points.indices) {
            for (point in change(piece.points[place])) {
                points.add(point)
                ends.add(piece.ends[place])
            }
        }
        return Piece(points.toArray(), ends.toArray())
    }

    private val NOTHING = IntArray(0)
    private val SPACE = intArrayOf(' '.code)
}

/** A growing array of ints. */
internal class IntArrayBuilder(capacity: Int = 16) {
    private var values = IntArray(maxOf(1, capacity))
    var size = 0
        private set

    fun add(value: Int) {
        if (size == values.size) values = values.copyOf(2 * size)
        values[size++] = value
    }

    fun toArray(): IntArray = values.copyOf(size)
}
