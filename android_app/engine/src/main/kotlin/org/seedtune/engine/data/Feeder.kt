package org.seedtune.engine.data

import java.io.Closeable
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.LayeredInput

/**
 * Rows for one call of a graph.
 *
 * @property index each row's place among the examples that were asked for.
 * @property tokens tokens of one side that the call computes, padding included.
 * @property paddingTokens how many of them are padding.
 * @property prefixTokens tokens whose keys and values are given, padding included.
 * @property prefixPaddingTokens how many of them are padding.
 * @property layered keys and values of prefixes, by the name of the input.
 */
class Batch internal constructor(
    internal val feeds: Feeds,
    val index: IntArray,
    val tokens: Int,
    val paddingTokens: Int,
    val prefixTokens: Int = 0,
    val prefixPaddingTokens: Int = 0,
    internal val layered: Map<String, LayeredInput> = emptyMap(),
) : Closeable {
    override fun close() = feeds.close()
}

/** What graphs are fed: decided by its implementations and nowhere else. */
interface Feeder {
    /** All rows. */
    val examples: List<Example>

    /** Every example of [indices] exactly once, in batches of at most [tokenLimit] computed tokens a side; close each. */
    fun batches(indices: IntArray, tokenLimit: Int): Sequence<Batch>
}

/** [Feeder] for graphs that read whole rows (scope "all"). */
class WholeRows(override val examples: List<Example>, private val paddingId: Long) : Feeder {
    override fun batches(indices: IntArray, tokenLimit: Int): Sequence<Batch> {
        val chosen = indices.map { examples[it] }
        return grouped(chosen.map { intArrayOf(it.ids.size) }, intArrayOf(tokenLimit)).asSequence().map { group ->
            val rows = group.map { chosen[it] }
            val (ids, mask) = padded(rows.map { it.ids }, paddingId)
            val feeds = Feeds()
            feeds.numbers("ids", ids)
            feeds.numbers("mask", mask)
            feeds.numbers("position", LongArray(rows.size) { rows[it].position.toLong() }, rows.size)
            feeds.numbers("label", LongArray(rows.size) { rows[it].label.toLong() }, rows.size)
            Batch(feeds, group, ids.values.size, ids.values.size - mask.values.sum().toInt())
        }
    }
}
