package org.seedtune.engine.context

import ai.onnxruntime.OnnxJavaType
import java.nio.ByteBuffer
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.graph.LayeredInput

/** Of how many tokens of a row something is kept: before those where the state acts, and of such. */
internal data class Tokens(val context: Int, val suffix: Int) {
    companion object {
        val NONE = Tokens(0, 0)
    }
}

/** One of the arrays of a block, [layers, keyHeads, P, width] values of [itemBytes] each. */
internal class ArrayKind(val name: String, val type: OnnxJavaType, val itemBytes: Int, val width: Int) {
    /** Of one place of one head. */
    val placeBytes: Int get() = itemBytes * width
}

/** The keys and values of a block in their order; see [ContextLayout]. */
internal fun arrayKinds(layout: ContextLayout): List<ArrayKind> {
    val (type, size) = when (layout.storage) {
        "fp32" -> OnnxJavaType.FLOAT to 4
        "fp16" -> OnnxJavaType.FLOAT16 to 2
        else -> OnnxJavaType.INT8 to 1
    }
    val whole = listOf(ArrayKind("keys", type, size, layout.headSize), ArrayKind("values", type, size, layout.headSize))
    if (layout.storage != "int8") return whole
    return whole + listOf("key_scales", "value_scales").map { ArrayKind(it, OnnxJavaType.FLOAT16, 2, 1) }
}

/**
 * What is kept of one row as stored: the arrays of [arrayKinds] without gaps, each [layers, keyHeads, tokens, width], and behind them
 * what enters the first layer with state, [tokens, entering] float32. The same bytes as the Python runtime's, in memory or in a file.
 */
internal interface Block {
    val tokens: Tokens

    /** Fills [into] with the bytes from [offset] on. */
    fun read(offset: Int, into: ByteArray)
}

/** A [Block] in memory. */
internal class MemoryBlock(override val tokens: Tokens, val bytes: ByteArray) : Block {
    override fun read(offset: Int, into: ByteArray) {
        bytes.copyInto(into, 0, offset, offset + into.size)
    }
}

/**
 * An input of a graph for B [blocks]: [layers, B, keyHeads, P, width], padded with zeros on the right.
 *
 * @param kind which array of the blocks.
 * @param before bytes of a token in the arrays before it, all layers and heads.
 * @param longest P: that of the longest block, and at least 1.
 */
internal class SideBySide(
    private val blocks: List<Block>,
    private val layout: ContextLayout,
    private val kind: ArrayKind,
    private val before: Int,
    private val longest: Int,
) : LayeredInput {
    override val type: OnnxJavaType get() = kind.type
    override val layers: Int get() = layout.layers
    override val shape: IntArray get() = intArrayOf(blocks.size, layout.keyHeads, longest, kind.width)
    override val layerBytes: Int get() = blocks.size * layout.keyHeads * longest * kind.placeBytes

    override fun fill(layer: Int, into: ByteBuffer) {
        val padding = ByteArray(longest * kind.placeBytes)
        for (block in blocks) {
            val headBytes = block.tokens.context * kind.placeBytes
            val raw = ByteArray(layout.keyHeads * headBytes)
            block.read(before * block.tokens.context + layer * raw.size, raw)
            for (head in 0 until layout.keyHeads) {
                into.put(raw, head * headBytes, headBytes)
                into.put(padding, 0, padding.size - headBytes)
            }
        }
    }

    companion object {
        /** The inputs for [blocks], by name. */
        fun of(blocks: List<Block>, layout: ContextLayout, longest: Int): Map<String, LayeredInput> {
            var before = 0
            return arrayKinds(layout).associate { kind ->
                val input = SideBySide(blocks, layout, kind, before, longest)
                before += layout.layers * layout.keyHeads * kind.placeBytes
                kind.name to input
            }
        }
    }
}

/** What enters the first layer with state, of all [blocks]: [B, S, entering], padded with zeros on the right, in a direct buffer. */
internal fun enteringStates(blocks: List<Block>, layout: ContextLayout): ByteBuffer {
    val longest = blocks.maxOf { it.tokens.suffix } * layout.bytesPerSuffixToken
    val whole = ByteBuffer.allocateDirect(blocks.size * longest)
    for (block in blocks) {
        val raw = ByteArray(block.tokens.suffix * layout.bytesPerSuffixToken)
        block.read(block.tokens.context * layout.bytesPerToken, raw)
        whole.put(raw).put(ByteArray(longest - raw.size))
    }
    return whole.flip() as ByteBuffer
}
