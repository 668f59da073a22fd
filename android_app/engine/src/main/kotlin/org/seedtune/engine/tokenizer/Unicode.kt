package org.seedtune.engine.tokenizer

/**
 * Classes of characters, spelt out where Java, Android and Rust (whose tokenizers library made the golden files) differ:
 * `\s` of a regular expression means six characters in Java, and another set in ICU, which Android has.
 */
internal object Unicode {
    /** Unicode's White_Space property. */
    fun isWhiteSpace(point: Int): Boolean =
        point in 0x09..0x0D || point == 0x20 || point == 0x85 || point == 0xA0 || point == 0x1680 ||
            point in 0x2000..0x200A || point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F ||
            point == 0x3000

    /** The White_Space property as the inside of a character class. */
    const val WHITE_SPACE_CLASS =
        "\\x09-\\x0D\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000"

    fun isNumber(point: Int): Boolean = when (Character.getType(point).toByte()) {
        Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER -> true
        else -> false
    }

    /** Alphabetic, number, mark or underscore: what regular expressions in Unicode call a word character. */
    fun isWord(point: Int): Boolean =
        Character.isLetterOrDigit(point) || isNumber(point) || isMark(point) || point == '_'.code || Character.isAlphabetic(point)

    fun isMark(point: Int): Boolean = when (Character.getType(point).toByte()) {
        Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK -> true
        else -> false
    }

    /** BERT's punctuation: ASCII punctuation and symbols, and Unicode's P categories. */
    fun isPunctuation(point: Int): Boolean {
        if (point in 33..47 || point in 58..64 || point in 91..96 || point in 123..126) return true
        return when (Character.getType(point).toByte()) {
            Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION, Character.START_PUNCTUATION,
            Character.END_PUNCTUATION, Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION,
            Character.OTHER_PUNCTUATION -> true
            else -> false
        }
    }

    /** What BERT's clean-up removes: categories Cc, Cf, Cn, Co, except tab and line breaks. */
    fun isControl(point: Int): Boolean {
        if (point == '\t'.code || point == '\n'.code || point == '\r'.code) return false
        return when (Character.getType(point).toByte()) {
            Character.CONTROL, Character.FORMAT, Character.UNASSIGNED, Character.PRIVATE_USE -> true
            else -> false
        }
    }

    /** CJK ideographs, which BERT puts spaces around. */
    fun isIdeograph(point: Int): Boolean =
        point in 0x4E00..0x9FFF || point in 0x3400..0x4DBF || point in 0x20000..0x2A6DF || point in 0x2A700..0x2B73F ||
            point in 0x2B740..0x2B81F || point in 0x2B920..0x2CEAF || point in 0xF900..0xFAFF || point in 0x2F800..0x2FA1F
}
