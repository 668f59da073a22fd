package org.seedtune.engine.generation

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Decoding

/**
 * Keys and values of the [length] tokens of one text that were read, each [layers, 1, key heads, capacity, head size] float32, in memory
 * that grows by parts, so that a token costs neither a copy of them nor a product with much that is empty. What lies behind [length] is
 * not looked at by the graph.
 */
internal class Past(private val layout: Decoding) {
    var length = 0
        private set

    /** Tokens that there is room for. */
    var capacity = GROWTH_TOKENS
        private set

    var keys: ByteBuffer = room(capacity)
        private set

    var values: ByteBuffer = room(capacity)
        private set

    /** The shape of [keys] and of [values]. */
    val shape: IntArray get() = intArrayOf(layout.layers, 1, layout.keyHeads, capacity, layout.headSize)

    /**
     * Takes those of the [tokens] that come next, each [layers, 1, key heads, tokens, head size].
     *
     * @throws SeedTuneException they take more than a buffer can.
     */
    fun append(keys: FloatBuffer, values: FloatBuffer, tokens: Int) {
        val end = length + tokens
        if (end > capacity) {
            val larger = (end + GROWTH_TOKENS - 1) / GROWTH_TOKENS * GROWTH_TOKENS
            this.keys = grown(this.keys, larger)
            this.values = grown(this.values, larger)
            capacity = larger
        }
        copy(keys, tokens, 0, this.keys, capacity, length, tokens)
        copy(values, tokens, 0, this.values, capacity, length, tokens)
        length = end
    }

    private fun grown(kept: ByteBuffer, larger: Int): ByteBuffer =
        room(larger).also { copy(floats(kept), capacity, 0, it, larger, 0, length) }

    /** Copies [count] tokens of every head from the place [first] of [fromTokens] to the place [to] of [intoTokens]. */
    private fun copy(from: FloatBuffer, fromTokens: Int, first: Int, into: ByteBuffer, intoTokens: Int, to: Int, count: Int) {
        val written = floats(into)
        for (head in 0 until layout.layers * layout.keyHeads) {
            val source = from.duplicate()
            source.position((head * fromTokens + first) * layout.headSize)
            source.limit(source.position() + count * layout.headSize)
            written.position((head * intoTokens + to) * layout.headSize)
            written.put(source)
        }
    }

    private fun floats(bytes: ByteBuffer): FloatBuffer = bytes.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer()

    private fun room(tokens: Int): ByteBuffer {
        val sizeBytes = Float.SIZE_BYTES.toLong() * layout.layers * layout.keyHeads * layout.headSize * tokens
        if (sizeBytes > Int.MAX_VALUE) {
            throw SeedTuneException(
                "the text is too long for this model here: its keys take more than a buffer can",
                value = "$sizeBytes bytes for $tokens tokens",
                rule = "at most ${Int.MAX_VALUE} bytes",
                remedy = "shorten the prompt, or generate fewer tokens",
            )
        }
        return ByteBuffer.allocateDirect(sizeBytes.toInt()).order(ByteOrder.nativeOrder())
    }

    private companion object {
        /** As in Python: the size of what the graph is given has a part in how its products are rounded. */
        const val GROWTH_TOKENS = 64
    }
}
