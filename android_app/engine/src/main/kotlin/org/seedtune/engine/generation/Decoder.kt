package org.seedtune.engine.generation

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.io.File
import org.seedtune.engine.bundle.Decoding
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.Interruption

/**
 * The decode graph in [file], ready to run: tokens go in behind those that were read before, the next token's logits come out. One
 * thread at a time may use it.
 *
 * @param layout what the manifest says of it.
 * @param parameters n, values of the state.
 * @param interruption ends a call.
 */
internal class Decoder(file: File, val layout: Decoding, parameters: Int, threads: Int, interruption: Interruption?) : Closeable {
    private val session = GraphSession(file, threads, interruption = interruption)
    private val untouched = Feeds().apply { floats(STATE, FloatArray(parameters), parameters) }

    /**
     * Reads [ids] (one at least) behind [past], which has them afterwards.
     *
     * @param state what acts at each of them, [n]; null for the untouched model.
     * @param goesOn asked between parts of a long text; false ends it.
     * @return the logits [V] of the token that follows the last of [ids], or null if [goesOn] ended it.
     */
    fun read(past: Past, ids: IntArray, state: OnnxTensor?, goesOn: () -> Boolean = { true }): FloatArray? {
        var logits: FloatArray? = null
        for (first in ids.indices step CHUNK_TOKENS) {
            if (first > 0 && !goesOn()) return null
            logits = readPart(past, ids.copyOfRange(first, minOf(first + CHUNK_TOKENS, ids.size)), state)
        }
        return logits
    }

    private fun readPart(past: Past, ids: IntArray, state: OnnxTensor?): FloatArray = Feeds().use { feeds ->
        feeds.numbers("ids", LongArray(ids.size) { ids[it].toLong() }, 1, ids.size)
        feeds.numbers("mask", LongArray(ids.size) { 1 }, 1, ids.size)
        feeds.numbers("positions", LongArray(ids.size) { past.length + it.toLong() }, 1, ids.size)
        feeds.numbers("position", longArrayOf(ids.size - 1L), 1)
        feeds.numbers("context_length", longArrayOf(past.length.toLong()), 1)
        feeds.raw("keys", past.keys, OnnxJavaType.FLOAT, *past.shape)
        feeds.raw("values", past.values, OnnxJavaType.FLOAT, *past.shape)
        feeds.lend(STATE, state ?: untouched.tensors.getValue(STATE))
        session.run(feeds.tensors, OUTPUTS).use { found ->
            val (logits, keys, values) = OUTPUTS.map { (found.get(it).get() as OnnxTensor).floatBuffer }
            past.append(keys, values, ids.size)
            FloatArray(logits.remaining()).also { logits.get(it) }
        }
    }

    override fun close() {
        session.close()
        untouched.close()
    }

    private companion object {
        /** Tokens of a prompt that are read at once, as in Python: a layer's activations stay a few megabytes. */
        const val CHUNK_TOKENS = 128
        const val STATE = "state"
        val OUTPUTS = linkedSetOf("logits", "new_keys", "new_values")
    }
}
