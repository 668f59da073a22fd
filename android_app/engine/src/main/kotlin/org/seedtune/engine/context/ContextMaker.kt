package org.seedtune.engine.context

import java.io.Closeable
import java.nio.ByteBuffer
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Work
import org.seedtune.engine.data.grouped
import org.seedtune.engine.data.padded
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph

/** The places of the tokens that are not in the suffix, ascending. */
internal fun contextPlaces(example: Example): IntArray {
    val suffix = example.suffix!!.toHashSet()
    return example.ids.indices.filterNot { it in suffix }.toIntArray()
}

/** Whether what is kept of a row follows from its context alone, so that rows that begin alike share it. */
internal fun readsContextAlone(objective: LanguageModel): Boolean = objective.model.family == "causal" && objective.context?.entering == 0

/** Of how many tokens of [example] something is kept. */
internal fun keptTokens(example: Example, layout: ContextLayout) =
    Tokens(contextPlaces(example).size, if (layout.entering > 0) example.suffix!!.size else 0)

/** The tokens that the context graph reads for [example]: those before the suffix where the rest does not matter, else all. */
internal fun readIds(example: Example, contextAlone: Boolean): LongArray {
    if (!contextAlone) return example.ids
    val kept = contextPlaces(example)
    return LongArray(kept.size) { example.ids[kept[it]] }
}

/**
 * Computes the blocks of examples with the context graph. A causal model reads the context alone, where nothing else of the row is
 * kept. A masked one reads the whole row, because its text sees the mask as well; the keys and values of the suffix are dropped.
 */
internal class ContextMaker(private val graph: Graph, objective: LanguageModel, tokensPerCall: Int?) : Closeable by graph {
    private val layout: ContextLayout = requireNotNull(objective.context) { "a bundle of scope \"all\" has no contexts" }
    private val kinds = arrayKinds(layout)
    private val contextAlone = readsContextAlone(objective)
    private val paddingId = objective.model.paddingId
    private val limit = tokensPerCall ?: maxOf(1, minOf(TOKENS_PER_CALL, RETURNED_BYTES / (layout.bytesPerToken + layout.bytesPerSuffixToken)))

    /** Gives the place and the block of each example of which something is read to [use], those of similar length together. */
    fun make(examples: List<Example>, use: (Int, MemoryBlock) -> Unit) {
        val kept = examples.map(::contextPlaces)
        val read = examples.map { readIds(it, contextAlone) }
        val places = examples.indices.filter { read[it].isNotEmpty() }
        val batches = grouped(places.map { intArrayOf(read[it].size) }, intArrayOf(limit)).asSequence().map { group ->
            val (ids, mask) = padded(group.map { read[places[it]] }, paddingId)
            val feeds = Feeds()
            feeds.numbers("ids", ids)
            feeds.numbers("mask", mask)
            Batch(feeds, group, Work(ids.values.size, ids.values.size - mask.values.sum().toInt()))
        }
        val names = kinds.map { it.name } + if (layout.entering > 0) listOf(ENTERING) else emptyList()
        graph.run(names.toSet(), batches, emptyMap()) { batch, found ->
            val arrays = names.map { found.getValue(it).byteBuffer }
            val rows = batch.index.size
            batch.index.forEachIndexed { row, at ->
                val place = places[at]
                use(place, cut(arrays, rows, batch.work.computed / rows, row, kept[place], examples[place]))
            }
        }
    }

    /** The kept places of one row of arrays [layers, rows, keyHeads, columns, width], and of what enters, [rows, columns, entering]. */
    private fun cut(arrays: List<ByteBuffer>, rows: Int, columns: Int, row: Int, kept: IntArray, example: Example): MemoryBlock {
        val tokens = keptTokens(example, layout)
        val out = ByteArray(layout.bytesOf(tokens.context.toLong(), tokens.suffix.toLong()).toInt())
        var place = 0
        kinds.forEachIndexed { index, kind ->
            val array = arrays[index]
            val bytes = kind.placeBytes
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
        if (tokens.suffix > 0) {
            val bytes = layout.bytesPerSuffixToken
            for (token in example.suffix!!) {
                arrays.last().position((row * columns + token) * bytes)
                arrays.last().get(out, place, bytes)
                place += bytes
            }
        }
        return MemoryBlock(tokens, out)
    }

    internal companion object {
        /** The name of what enters the first layer with state, as an output and as an input. */
        const val ENTERING = "entering"

        /** Tokens of a call; bounds memory, together with what a call returns. The same as the Python runtime's. */
        private const val TOKENS_PER_CALL = 512
        private const val RETURNED_BYTES = 32 shl 20
    }
}
