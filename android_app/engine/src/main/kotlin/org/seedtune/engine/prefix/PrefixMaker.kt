package org.seedtune.engine.prefix

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.nio.ByteBuffer
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.PrefixLayout
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.grouped
import org.seedtune.engine.data.padded
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.GraphSession

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
internal class PrefixMaker(bundle: Bundle, threads: Int) : Closeable {
    private val layout: PrefixLayout = requireNotNull(bundle.manifest.prefix) { "a bundle of scope \"all\" has no prefixes" }
    private val kinds = arrayKinds(layout)
    private val causal = bundle.manifest.model.family == "causal"
    private val paddingId = bundle.manifest.model.paddingId
    private val limit = maxOf(1, minOf(TOKENS_PER_CALL, RETURNED_BYTES / layout.bytesPerToken))
    private val session = GraphSession(bundle.graph("prefix"), threads)

    /** Gives the place and the block of each example with a prefix to [use], those of similar length together. */
    fun make(examples: List<Example>, use: (Int, Block) -> Unit) {
        val kept = examples.map(::prefixPlaces)
        val read = examples.map { readIds(it, causal) }
        val places = examples.indices.filter { kept[it].isNotEmpty() }
        for (group in grouped(places.map { intArrayOf(read[it].size) }, intArrayOf(limit))) {
            val chosen = group.map { places[it] }
            val (ids, mask) = padded(chosen.map { read[it] }, paddingId)
            Feeds().use { feeds ->
                feeds.numbers("ids", ids)
                feeds.numbers("mask", mask)
                session.run(feeds.tensors, kinds.map { it.name }.toSet()).use { found ->
                    val arrays = kinds.map { (found.get(it.name).get() as OnnxTensor).byteBuffer }
                    chosen.forEachIndexed { row, place ->
                        use(place, cut(arrays, chosen.size, ids.columns, row, kept[place]))
                    }
                }
            }
        }
    }

    /** The kept places of one row of arrays [layers, rows, keyHeads, columns, width]. */
    private fun cut(arrays: List<ByteBuffer>, rows: Int, columns: Int, row: Int, kept: IntArray): Block {
        val out = ByteArray(layout.bytesPerToken * kept.size)
        var place = 0
        arrays.forEachIndexed { index, array ->
            val bytes = kinds[index].width * kinds[index].itemBytes
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
        return Block(kept.size, out)
    }

    override fun close() = session.close()

    private companion object {
        /** Tokens of a call; bounds memory, together with what a call returns. The same as the Python runtime's. */
        const val TOKENS_PER_CALL = 512
        const val RETURNED_BYTES = 32 shl 20
    }
}
