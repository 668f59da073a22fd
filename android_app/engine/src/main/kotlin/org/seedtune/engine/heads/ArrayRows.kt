package org.seedtune.engine.heads

import org.seedtune.engine.bundle.RobustHeads
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Work
import org.seedtune.engine.graph.Feeds

/** [Feeder] of robust and non-robust heads: the rows [places], each with its adversarial twin. */
internal class ArrayRows(private val rows: HeadRows, loss: RobustHeads, private val places: IntArray) : Feeder {
    private val matrices = listOf("", "_adversarial").flatMap { ending ->
        listOf("z_robust" to loss.robustFeatures, "z_non_robust" to loss.nonRobustFeatures).map { (name, width) -> "$name$ending" to rows.matrix("$name$ending", width) }
    }
    private val targets = rows.integers("adversarial_targets", rows.objective.rows, HeadRows.NONE, rows.objective.classes)

    override val size: Int get() = places.size
    override val unit: String get() = "rows"

    override fun batches(indices: IntArray, limit: Int): Sequence<Batch> {
        require(limit >= 1) { "the limit must be positive: $limit" }
        return (indices.indices step limit).asSequence().map { first ->
            val index = IntArray(minOf(limit, indices.size - first)) { first + it }
            val chosen = IntArray(index.size) { places[indices[index[it]]] }
            val feeds = Feeds()
            for ((name, matrix) in matrices) feeds.floats(name, matrix.rows(chosen), chosen.size, matrix.width)
            feeds.numbers("label", LongArray(chosen.size) { rows.labels[chosen[it]].toLong() }, chosen.size)
            // A row without a twin has some target all the same; its terms weigh nothing.
            feeds.numbers("target", LongArray(chosen.size) { maxOf(targets[chosen[it]], 0).toLong() }, chosen.size)
            feeds.floats("partner", FloatArray(chosen.size) { if (targets[chosen[it]] == HeadRows.NONE) 0f else 1f }, chosen.size)
            Batch(feeds, index, Work(chosen.size))
        }
    }
}
