package org.seedtune.engine.context

import ai.onnxruntime.OnnxJavaType
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Work
import org.seedtune.engine.data.grouped
import org.seedtune.engine.data.padded
import org.seedtune.engine.graph.Feeds

/** [Feeder] for graphs that read the last tokens of rows and are given what is kept of the others (scopes "suffix" and "last"). */
internal class SuffixRows(
    private val examples: List<Example>,
    private val paddingId: Long,
    private val layout: ContextLayout,
    private val contexts: Contexts,
    contextTokensPerCall: Int? = null,
) : Feeder {
    private val lengths = IntArray(examples.size) { contexts.tokens[it].context }
    private val contextLimit = contextTokensPerCall ?: maxOf(1, CONTEXT_BYTES_PER_CALL / layout.bytesPerToken).coerceAtMost(CONTEXT_TOKENS_PER_CALL)

    override val size: Int get() = examples.size
    override val unit: String get() = "tokens"

    override fun batches(indices: IntArray, limit: Int): Sequence<Batch> {
        val sizes = indices.map { intArrayOf(lengths[it], examples[it].suffix!!.size) }
        return grouped(sizes, intArrayOf(contextLimit, limit)).asSequence().map { group -> batch(group, group.map { indices[it] }) }
    }

    private fun batch(group: IntArray, chosen: List<Int>): Batch {
        val rows = chosen.map { examples[it] }
        val (ids, mask) = padded(rows.map { row -> LongArray(row.suffix!!.size) { row.ids[row.suffix[it]] } }, paddingId)
        val (positions, _) = padded(rows.map { row -> LongArray(row.suffix!!.size) { row.suffix[it].toLong() } }, 0)
        val feeds = Feeds()
        val blocks = contexts.blocks(chosen)
        if (layout.entering > 0) {
            val states = enteringStates(blocks, layout)
            feeds.raw(ContextMaker.ENTERING, states, OnnxJavaType.FLOAT, rows.size, ids.columns, layout.entering)
        } else {
            feeds.numbers("ids", ids)
        }
        feeds.numbers("mask", mask)
        feeds.numbers("positions", positions)
        if (rows.all { it.targets != null }) {
            feeds.numbers("target", padded(rows.map { it.targets!! }, 0).first)
        } else {
            feeds.numbers("position", LongArray(rows.size) { rows[it].suffix!!.indexOf(rows[it].position).toLong() }, rows.size)
            feeds.numbers("label", LongArray(rows.size) { rows[it].label.toLong() }, rows.size)
        }
        feeds.numbers("context_length", LongArray(rows.size) { lengths[chosen[it]].toLong() }, rows.size)
        val longest = maxOf(1, chosen.maxOf { lengths[it] })
        return Batch(
            feeds,
            group,
            Work(
                ids.values.size,
                ids.values.size - mask.values.sum().toInt(),
                rows.size * longest,
                rows.size * longest - chosen.sumOf { lengths[it] },
            ),
            SideBySide.of(blocks, layout, longest),
        )
    }

    private companion object {
        /** Of contexts copied into a call, and the most that the copy may take; see docs/log/2026-11-26.md, "Calls of OPT-1.3B". */
        const val CONTEXT_TOKENS_PER_CALL = 2048
        const val CONTEXT_BYTES_PER_CALL = 128 shl 20
    }
}
