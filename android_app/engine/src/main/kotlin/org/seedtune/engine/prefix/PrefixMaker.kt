package org.seedtune.engine.prefix

import java.io.Closeable
import java.nio.ByteBuffer
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.bundle.PrefixLayout
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Work
import org.seedtune.engine.data.grouped
import org.seedtune.engine.data.padded
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph

/** The places of the tokens that are not in the suffix, ascending. */
internal fun prefixPlaces(example: Example): IntArray {
    val suffix = example.suffix!!.toHashSet()
    return example.ids.indices.filterNot { it in suffix }.toIntArray()
}

/** The tokens that the prefix graph reads for [example]: of a causal row those before the suffix, else all. */
internal fun readIds(example: Example, causal: Boolean): LongArray {
    if (!causal) return example.ids
    val kept = prefixPlaces(example)
    return LongArray(kept.size) { example.ids[kept[it]] }
}

/**
 * Computes the blocks of examples with the prefix graph. A causal model reads the prefix alone. A masked one reads the whole
 * row, because its text sees the mask as well; the keys and values of the suffix are dropped.
 */
internal class PrefixMaker(private val graph: Graph, objective: LanguageModel, tokensPerCall: Int?) : Closeable by graph {
    private val layout: PrefixLayout = requireNotNull(objective.prefix) { "a bundle of scope \"all\" has no prefixes" }
    private val kinds = arrayKinds(layout)
    private val causal = objective.model.family == "causal"
    private val paddingId = objective.model.paddingId
    private val limit = tokensPerCall ?: maxOf(1, minOf(TOKENS_PER_CALL, RETURNED_BYTES / layout.bytesPerToken))

    /** Gives the place and the block of each example with a prefix to [use], those of similar length together. */
    fun make(examples: List<Example>, use: (Int, MemoryBlock) -> Unit) {
        val kept = examples.map(::prefixPlaces)
        val read = examples.map { readIds(it, causal) }
        val places = examples.indices.filter { kept[it].isNotEmpty() }
        val batches = grouped(places.map { intArrayOf(read[it].size) }, intArrayOf(limit)).asSequence().map { group ->
            val (ids, mask) = padded(group.map { read[places[it]] }, paddingId)
            val feeds = Feeds()
            feeds.numbers("ids", ids)
            feeds.numbers("mask", mask)
            Batch(feeds, group, Work(ids.values.size, ids.values.size - mask.values.sum().toInt()))
        }
        graph.run(kinds.map { it.name }.toSet(), batches, emptyMap()) { batch, found ->
            val arrays = kinds.map { found.getValue(it.name).byteBuffer }
            val rows = batch.index.size
            batch.index.forEachIndexed { row, at ->
                val place = places[at]
                use(place, cut(arrays, rows, batch.work.computed / rows, row, kept[place]))
            }
        }
    }

    /** The kept places of one row of arrays [layers, rows, keyHeads, columns, width]. */
    private fun cut(arrays: List<ByteBuffer>, rows: Int, columns: Int, row: Int, kept: IntArray): MemoryBlock {
        val out = ByteArray(layout.bytesPerToken * kept.size)
        var place = 0
        arrays.forEachIndexed { index, array ->
            val bytes = kinds[index].placeBytes
            for (layer in 0 until layout.layers) {
                for (head in 0 until layout.keyHeads) {
                    val start = ((layer * rows + row) * layout.keyHeads + head) * columns
                    for (token in kept) {
                        array.position((start + token) * bytes)
                        array.get(out, place, bytes)
                        place += bytes
                    }
                }
            }
        }
        return MemoryBlock(kept.size, out)
    }

    private companion object {
        /** Tokens of a call; bounds memory, together with what a call returns. The same as the Python runtime's. */
        const val TOKENS_PER_CALL = 512
        const val RETURNED_BYTES = 32 shl 20
    }
}
