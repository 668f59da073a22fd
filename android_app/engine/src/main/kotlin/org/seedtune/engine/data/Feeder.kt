package org.seedtune.engine.data

import java.io.Closeable
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.LayeredInput

/**
 * What calls of a graph cost, in the units of their feeder, of one side.
 *
 * @property computed units that are computed, padding included.
 * @property padding how many of them are padding.
 * @property cached units that are read from a cache instead, padding included.
 * @property cachedPadding how many of them are padding.
 */
data class Work(val computed: Int = 0, val padding: Int = 0, val cached: Int = 0, val cachedPadding: Int = 0) {
    internal operator fun plus(other: Work) =
        Work(computed + other.computed, padding + other.padding, cached + other.cached, cachedPadding + other.cachedPadding)
}

/**
 * Rows for one call of a graph.
 *
 * @property feeds everything but the state, the noise and [layered].
 * @property index each row's place among the rows that were asked for.
 * @property work what the call costs.
 * @property layered inputs with the layers of the model as their first axis, by name.
 */
internal class Batch(
    val feeds: Feeds,
    val index: IntArray,
    val work: Work,
    val layered: Map<String, LayeredInput> = emptyMap(),
) : Closeable {
    override fun close() = feeds.close()
}

/** What graphs are fed: decided by its implementations and nowhere else. */
internal interface Feeder {
    /** How many rows there are. */
    val size: Int

    /** What batches are measured in, such as "tokens". */
    val unit: String

    /** Which rows each step of a run with this [seed] sees. */
    fun sampling(seed: Long, batchSize: Int): Sampling = Sampler(seed, size, batchSize)

    /** Every row of [indices] exactly once, in batches of at most [limit] computed units a side; close each. */
    fun batches(indices: IntArray, limit: Int): Sequence<Batch>
}

/** [Feeder] for graphs that read whole rows (scope "all"). */
internal class WholeRows(private val examples: List<Example>, private val paddingId: Long) : Feeder {
    override val size: Int get() = examples.size
    override val unit: String get() = "tokens"

    override fun batches(indices: IntArray, limit: Int): Sequence<Batch> {
        val chosen = indices.map { examples[it] }
        return grouped(chosen.map { intArrayOf(it.ids.size) }, intArrayOf(limit)).asSequence().map { group ->
            val rows = group.map { chosen[it] }
            val (ids, mask) = padded(rows.map { it.ids }, paddingId)
            val feeds = Feeds()
            feeds.numbers("ids", ids)
            feeds.numbers("mask", mask)
            feeds.numbers("position", LongArray(rows.size) { rows[it].position.toLong() }, rows.size)
            feeds.numbers("label", LongArray(rows.size) { rows[it].label.toLong() }, rows.size)
            Batch(feeds, group, Work(ids.values.size, ids.values.size - mask.values.sum().toInt()))
        }
    }
}
