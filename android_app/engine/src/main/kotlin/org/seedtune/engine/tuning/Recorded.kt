package org.seedtune.engine.tuning

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException

/**
 * Settings as files keep them: a flat map, in which the settings of an estimator or an optimizer have a word and a dot before
 * their names.
 *
 * @param group the word and the dot, or nothing.
 */
internal class Recorded(private val values: Map<String, JsonPrimitive>, private val group: String = "") {
    /** Those of [word], which are asked for by their names without it. */
    fun of(word: String) = Recorded(values, "$word.")

    fun text(name: String): String = values[group + name]?.content
        ?: throw SeedTuneException("the run's settings lack $group$name", rule = "the settings of this version", remedy = REMEDY)

    fun int(name: String): Int = number(name, String::toInt)

    fun long(name: String): Long = number(name, String::toLong)

    fun double(name: String): Double = number(name, String::toDouble)

    /** [text], or [default] where a journal is older than the setting. */
    fun text(name: String, default: String): String = if (has(name)) text(name) else default

    /** [double], or [default] where a journal is older than the setting. */
    fun double(name: String, default: Double): Double = if (has(name)) double(name) else default

    private fun has(name: String) = group + name in values

    /**
     * The kind, if it is one of [known].
     *
     * @throws SeedTuneException it is another: a newer version wrote it, or nobody did.
     */
    fun kind(known: Collection<String>): String = requireKnown("$group$KIND", text(KIND), known)

    private fun <T> number(name: String, parse: (String) -> T): T =
        try {
            parse(text(name))
        } catch (error: NumberFormatException) {
            throw SeedTuneException(
                "the run's setting $group$name cannot be used", value = text(name), rule = "a number", remedy = REMEDY, cause = error,
            )
        }

    companion object {
        const val KIND = "kind"
        private const val REMEDY = "start a new run"

        /** @throws SeedTuneException the [kind] that [key] names is none of [known]. */
        fun requireKnown(key: String, kind: String, known: Collection<String>): String {
            if (kind in known) return kind
            throw SeedTuneException(
                "$key names a kind that this version does not know",
                value = kind,
                rule = known.joinToString(),
                remedy = "update SeedTune, or choose one that is known",
            )
        }

        /** @throws SeedTuneException [holds] is false: the [value] of [key] breaks [rule]. */
        fun require(key: String, value: Any, holds: Boolean, rule: String) {
            if (!holds) throw SeedTuneException("$key is out of range", value = value, rule = rule, remedy = "choose another $key")
        }
    }
}
