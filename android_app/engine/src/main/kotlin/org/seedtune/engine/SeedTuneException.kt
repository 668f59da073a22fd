package org.seedtune.engine

/**
 * Something that the user can put right: what is wrong, where, the value that was found, the rule it breaks, and what to
 * do next. The parts are kept apart so that a screen can lay them out; [message] joins them.
 */
class SeedTuneException(
    val what: String,
    val file: String? = null,
    val value: Any? = null,
    val rule: String? = null,
    val remedy: String? = null,
    cause: Throwable? = null,
) : Exception(joined(what, file, value, rule, remedy), cause) {
    /** The same failure, found in [file]. */
    internal fun at(file: String) = SeedTuneException(what, file, value, rule, remedy, this)
}

private const val SHOWN_CHARACTERS = 200

private fun joined(what: String, file: String?, value: Any?, rule: String?, remedy: String?): String =
    buildString {
        if (file != null) append(file).append(": ")
        append(what)
        if (value != null) append("\n  found: ").append(shortened(value.toString()))
        if (rule != null) append("\n  expected: ").append(rule)
        if (remedy != null) append("\n  try: ").append(remedy)
    }

private fun shortened(text: String): String =
    if (text.length <= SHOWN_CHARACTERS) text else text.take(SHOWN_CHARACTERS) + "…"
