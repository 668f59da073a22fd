package org.seedtune.engine.heads

import org.seedtune.engine.bundle.Contrastive
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.data.Sampling
import org.seedtune.engine.data.Work
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.noise.Noise

/**
 * What the contrastive graphs are fed: anchors, a positive of each, and the negatives that all of them share. A step is one group in
 * one call, never split. Which rows they are follows from the seed of the run and the number of the step alone, as in Python
 * (`runtime/heads/coupled.py`).
 */
internal class CoupledRows(rows: HeadRows, private val loss: Contrastive) : Feeder {
    private val count = rows.objective.rows
    private val features = rows.matrix("features", rows.objective.features)
    private val positives = rows.groups("positive_offsets", "positives", count, 0)
    private val clusters = rows.groups("cluster_offsets", "cluster_members", null, 1)
    private val anchors = (0 until count).filter { positives.first[it + 1] > positives.first[it] }.toIntArray()

    override val size: Int get() = anchors.size
    override val unit: String get() = "rows"

    override fun sampling(seed: Long, batchSize: Int): Sampling {
        val sampler = Sampler(seed, anchors.size, batchSize)
        return object : Sampling {
            override val batchSize: Int get() = batchSize

            override fun indices(step: Int): IntArray {
                val chosen = sampler.indices(step).map { anchors[it] }.toIntArray()
                return chosen + positivesOf(chosen, seed, step.toLong()) + negatives(seed, step.toLong())
            }
        }
    }

    /** A positive of each of [anchors]; of one without any, itself. */
    fun positivesOf(anchors: IntArray, seed: Long, step: Long): IntArray {
        val words = Noise.words(Noise.deriveSeed(seed, "positive", step), anchors.size)
        val (offsets, members) = positives
        return IntArray(anchors.size) {
            val first = offsets[anchors[it]]
            val found = offsets[anchors[it] + 1] - first
            if (found == 0) anchors[it] else members[first + rest(words[it], found)]
        }
    }

    /** The negatives of a step. */
    fun negatives(seed: Long, step: Long): IntArray {
        val words = Noise.words(Noise.deriveSeed(seed, "negative", step), 2 * loss.negatives)
        val (offsets, members) = clusters
        return IntArray(loss.negatives) {
            if (!loss.imbalanceFix) return@IntArray rest(words[2 * it + 1], count)
            val cluster = rest(words[2 * it], offsets.size - 1)
            members[offsets[cluster] + rest(words[2 * it + 1], offsets[cluster + 1] - offsets[cluster])]
        }
    }

    /** The whole group in one batch, whatever [limit] says; each of its rows is fed once. */
    override fun batches(indices: IntArray, limit: Int): Sequence<Batch> = sequence {
        val count = (indices.size - loss.negatives) / 2
        val used = indices.distinct().sorted().toIntArray()
        val places = LongArray(indices.size) { used.binarySearch(indices[it]).toLong() }
        val feeds = Feeds()
        feeds.floats("features", features.rows(used), used.size, features.width)
        feeds.numbers("anchor", places.copyOfRange(0, count), count)
        feeds.numbers("positive", places.copyOfRange(count, 2 * count), count)
        feeds.numbers("negative", places.copyOfRange(2 * count, places.size), loss.negatives)
        yield(Batch(feeds, IntArray(count) { it }, Work(used.size)))
    }

    /** Rows whose embeddings are wanted, one after the other; the loss of such a batch means nothing. */
    fun alone(places: IntArray): Batch {
        val feeds = Feeds()
        feeds.floats("features", features.rows(places), places.size, features.width)
        for (name in listOf("anchor", "positive", "negative")) feeds.numbers(name, LongArray(1), 1)
        return Batch(feeds, IntArray(places.size) { it }, Work(places.size))
    }

    private fun rest(word: Int, count: Int): Int = ((word.toLong() and Noise.WORD_MASK) % count).toInt()
}
