package org.seedtune.engine.json

import java.math.BigDecimal
import java.math.MathContext
import java.math.RoundingMode
import java.util.Locale
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive

/**
 * JSON as the Python runtime writes it, byte for byte: compact, keys in the order given, floats with the fewest digits
 * that read back the same, not-finite floats as null.
 *
 * Parsing is kotlinx.serialization's. Writing is ours because the header of a journal is checksummed and compared between
 * two languages, and `Double.toString` differs between them (and, before Java 19, from the shortest digits).
 */
internal object JsonText {
    /** The text of [value]: null, Boolean, Int, Long, Float, Double, String, List, Map with String keys, or JsonElement. */
    fun encode(value: Any?): String = StringBuilder().also { write(value, it) }.toString()

    private fun write(value: Any?, out: StringBuilder) {
        when (value) {
            null -> out.append("null")
            is JsonElement -> writeElement(value, out)
            is Boolean, is Int, is Long -> out.append(value.toString())
            is Float -> out.append(number(value.toDouble()))
            is Double -> out.append(number(value))
            is String -> writeString(value, out)
            is Map<*, *> -> writeMap(value, out)
            is Iterable<*> -> writeList(value, out)
            else -> throw IllegalArgumentException("no JSON for ${value.javaClass}")
        }
    }

    private fun writeElement(element: JsonElement, out: StringBuilder) {
        when (element) {
            is JsonNull -> out.append("null")
            is JsonObject -> writeMap(element, out)
            is JsonArray -> writeList(element, out)
            is JsonPrimitive -> when {
                element.isString -> writeString(element.content, out)
                element.content[0] !in "tf" && element.content.any { it in ".eE" } -> out.append(number(element.content.toDouble()))
                else -> out.append(element.content)
            }
        }
    }

    private fun writeMap(map: Map<*, *>, out: StringBuilder) = writeJoined(map.entries, '{', '}', out) { (key, item) ->
        writeString(key as String, out)
        out.append(':')
        write(item, out)
    }

    private fun writeList(list: Iterable<*>, out: StringBuilder) = writeJoined(list, '[', ']', out) { write(it, out) }

    private fun <T> writeJoined(items: Iterable<T>, open: Char, close: Char, out: StringBuilder, item: (T) -> Unit) {
        out.append(open)
        var first = true
        for (each in items) {
            if (!first) out.append(',')
            first = false
            item(each)
        }
        out.append(close)
    }

    private fun writeString(text: String, out: StringBuilder) {
        out.append('"')
        for (character in text) {
            when (character) {
                '"' -> out.append("\\\"")
                '\\' -> out.append("\\\\")
                '\b' -> out.append("\\b")
                '\t' -> out.append("\\t")
                '\n' -> out.append("\\n")
                '\u000C' -> out.append("\\f")
                '\r' -> out.append("\\r")
                else -> if (character < ' ') out.append("\\u%04x".format(Locale.ROOT, character.code)) else out.append(character)
            }
        }
        out.append('"')
    }

    /** [value] with the fewest digits that read back the same; plain from 1e-5 to below 1e16, else with an exponent. */
    fun number(value: Double): String {
        if (value.isNaN() || value.isInfinite()) return "null"
        if (value == 0.0) return if (1 / value < 0) "-0.0" else "0.0"
        val sign = if (value < 0) "-" else ""
        val shortest = shortest(Math.abs(value))
        val digits = shortest.unscaledValue().toString()
        // value = 0.digits * 10^point
        val point = digits.length - shortest.scale()
        val size = Math.abs(value)
        if (size >= PLAIN_FROM && size < PLAIN_BELOW) return sign + plain(digits, point)
        val fraction = if (digits.length > 1) "." + digits.substring(1) else ""
        return "$sign${digits[0]}${fraction}e${point - 1}"
    }

    private fun plain(digits: String, point: Int): String =
        when {
            point <= 0 -> "0." + "0".repeat(-point) + digits
            point >= digits.length -> digits + "0".repeat(point - digits.length) + ".0"
            else -> digits.substring(0, point) + "." + digits.substring(point)
        }

    private fun shortest(value: Double): BigDecimal {
        val exact = BigDecimal(value)
        for (digits in 1..MOST_DIGITS) {
            val rounded = exact.round(MathContext(digits, RoundingMode.HALF_EVEN))
            if (rounded.toDouble() == value) return rounded.stripTrailingZeros()
        }
        error("17 digits identify every double: $value")
    }

    private const val MOST_DIGITS = 17
    private const val PLAIN_FROM = 1e-5
    private const val PLAIN_BELOW = 1e16
}
