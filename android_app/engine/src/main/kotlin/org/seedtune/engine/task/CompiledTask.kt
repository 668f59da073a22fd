package org.seedtune.engine.task

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.tokenizer.Tokenizer

/**
 * A tokenised row of T tokens.
 *
 * @property position the token whose hidden state says the label word.
 * @property truncatedTokens how many tokens truncation cost.
 * @property suffix the places where a state of scope "suffix" or "last" acts, ascending, [position] among them; null for scope "all".
 * @property targets of a completion task: the token that is to follow each token of the suffix.
 */
internal class Encoded(val ids: LongArray, val position: Int, val truncatedTokens: Int, val suffix: IntArray?, val targets: LongArray?)

/** The [ids] of a text that is to be gone on with, at those of which from [firstPlace] on a state acts. */
internal class PromptIds(val ids: IntArray, val firstPlace: Int)

/**
 * A task and a tokenizer, made into a function from a row's fields to token ids. Fixed text and fields are rendered into one
 * string and tokenised together, so the ids are those that the model would see from a user. No row has a token that the
 * model's embedding of [vocabularySize] rows lacks.
 */
internal class CompiledTask(
    val task: Task,
    tokenizer: Tokenizer,
    private val masked: Boolean,
    maskToken: String?,
    private val scope: String,
    endToken: String?,
    private val vocabularySize: Int,
) {
    private val encoder = Encoder(task.template, tokenizer, if (masked) maskToken else null, task.response)
    private val endId = if (task.completes) encoder.specialId(endToken) else null

    init {
        requireEmbedded(encoder.fixedIds() + setOfNotNull(endId), "the template", "change the template")
    }

    /** The token id of each label's word, where it will stand; empty for a completion task. */
    val labelWordIds: List<Int> = if (task.completes) emptyList() else task.labels.map { wordId(it.word) }

    init {
        requireEmbedded(labelWordIds, "a label word", "choose another label word")
    }

    /**
     * Tokenises one row, given the text of each field of the template and of the response.
     *
     * @throws SeedTuneException a field is missing, the row is too long even with the truncated field empty, or a token is special
     * or has no row in the embedding.
     */
    fun encode(fields: Map<String, String>): Encoded {
        var shown = fields
        var row = tokenise(shown)
        val whole = row.ids.size
        while (row.ids.size > task.maxTokens) {
            val text = shown.getValue(task.truncate)
            if (text.isEmpty()) {
                throw SeedTuneException(
                    "a row is too long even without its field '${task.truncate}'",
                    value = "${row.ids.size} tokens",
                    rule = "max_tokens = ${task.maxTokens}",
                    remedy = "raise max_tokens, or truncate another field",
                )
            }
            shown = shown + (task.truncate to encoder.shortened(text, row.ids.size - task.maxTokens))
            row = tokenise(shown)
        }
        val ids = row.ids
        if (ids.isEmpty()) {
            throw SeedTuneException("a row has no tokens", rule = "at least one token to read the label from", remedy = "remove the row")
        }
        embedded(ids, "the row")
        return if (task.completes) completion(shown, ids, whole - ids.size) else classification(shown, row, whole - ids.size)
    }

    private fun classification(fields: Map<String, String>, row: RowIds, truncated: Int): Encoded {
        val ids = row.ids
        val position = if (masked) maskPlace(row) else ids.size - 1
        var suffix: IntArray? = null
        if (scope == "last") {
            suffix = intArrayOf(position)
        } else if (scope == "suffix") {
            val border = agreement(ids, encoder.render(fields, toLastField = true))
            suffix = ((border until ids.size) + position).distinct().sorted().toIntArray()
        }
        return Encoded(longs(ids), position, truncated, suffix, null)
    }

    /** What follows the prompt is learnt, from the prompt's last token on. */
    private fun completion(fields: Map<String, String>, ids: IntArray, truncated: Int): Encoded {
        val border = agreement(ids, encoder.render(fields))
        if (border <= 0 || border >= ids.size) {
            throw SeedTuneException(
                if (border == 0) "a row has no prompt" else "a row has no response",
                rule = "at least one token of each that does not depend on the other",
                remedy = "remove the row, or give the template some fixed text",
            )
        }
        val read = ids.copyOf(ids.size - 1)
        val suffix = IntArray(read.size - border + 1) { border - 1 + it }
        return Encoded(longs(read), read.size - 1, truncated, suffix, longs(ids.copyOfRange(border, ids.size)))
    }

    /**
     * A row that is to be gone on with, however long: of a completion task the prompt, whose last token foresees the response; of a
     * classification task the row as it is, split as for tuning. Errors as of [encode].
     */
    fun prompt(fields: Map<String, String>): PromptIds {
        val text = encoder.render(fields)
        val ids = embedded(withoutAppended(encoder.ids(text)).ids, "the row")
        if (scope != "suffix" || task.completes) return prompt(ids)
        return PromptIds(ids, agreement(ids, encoder.render(fields, toLastField = true)))
    }

    /** [text] as it is, with the special tokens that it spells, behind those that the tokenizer puts in front; errors as of [encode]. */
    fun rawPrompt(text: String): PromptIds = prompt(embedded(withoutAppended(encoder.ids(encoder.protected(text))).ids, "the text"))

    /** With scope "all" a state acts at every token; else, in a text that is not split, at its last one. */
    private fun prompt(ids: IntArray) = PromptIds(ids, if (scope == "all") 0 else maxOf(0, ids.size - 1))

    /** The text of [ids]; special tokens have none. */
    fun text(ids: List<Int>): String = encoder.text(ids)

    private fun embedded(ids: IntArray, whose: String): IntArray = ids.also { requireEmbedded(it.asList(), whose, "remove it from $whose") }

    /** How many of [ids] are those of [beginning] alone: where the part that never changes ends. */
    private fun agreement(ids: IntArray, beginning: String): Int {
        val alone = withoutAppended(encoder.ids(beginning)).ids
        var border = 0
        while (border < minOf(ids.size, alone.size) && ids[border] == alone[border]) border++
        return border
    }

    private fun tokenise(fields: Map<String, String>): RowIds {
        val text = encoder.render(fields)
        if (task.completes) {
            val row = withoutAppended(encoder.ids(text + encoder.renderResponse(fields)))
            return if (endId == null) row else RowIds(row.ids + endId, 1, null)
        }
        // An appended end-of-text token would stand between the template and the label word.
        return if (masked) encoder.ids(text) else withoutAppended(encoder.ids(text))
    }

    private fun withoutAppended(row: RowIds) = RowIds(row.ids.copyOf(row.ids.size - row.appended), 0, row.maskPlace)

    private fun maskPlace(row: RowIds): Int = row.maskPlace ?: throw SeedTuneException(
        "the tokenizer does not read the template's {mask} as a mask here",
        value = task.template,
        rule = "a mask token that is matched between words only stands between words",
        remedy = "put spaces around {mask}",
    )

    private fun requireEmbedded(ids: Iterable<Int>, whose: String, remedy: String) {
        val beyond = ids.filter { it >= vocabularySize }.distinct().sorted()
        if (beyond.isEmpty()) return
        throw SeedTuneException(
            "$whose has a token that the model's embedding lacks",
            value = beyond,
            rule = "ids below $vocabularySize, the rows of the embedding; the tokenizer has more",
            remedy = "$remedy, or resize the model's embedding to its tokenizer",
        )
    }

    private fun wordId(word: String): Int {
        val context = if (masked) "" else encoder.render(task.fields.associateWith { SAMPLE })
        val before = if (masked) IntArray(0) else encoder.plainIds(context)
        val after = encoder.plainIds(context + word)
        if (after.size != before.size + 1 || !after.copyOf(before.size).contentEquals(before)) {
            throw SeedTuneException(
                "the label word '$word' is not one token for this tokenizer",
                rule = "a label word is exactly one token behind the template",
                remedy = "export the bundle again",
            )
        }
        return after.last()
    }

    private fun longs(ids: IntArray) = LongArray(ids.size) { ids[it].toLong() }

    private companion object {
        /** Fills the fields where words are tried behind a causal template; any plain word does. */
        const val SAMPLE = "something"
    }
}
