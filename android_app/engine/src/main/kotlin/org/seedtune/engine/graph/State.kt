package org.seedtune.engine.graph

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.seedtune.engine.files.sha256Of

/**
 * The trainable state: one flat float32 vector, changed in place by the update graph and by nothing else. Zero, as it is at
 * the start, means the untouched model.
 *
 * @param update the update graph of the bundle.
 * @param parameters n.
 */
class State(update: File, val parameters: Int) : Closeable {
    private val session = GraphSession(update, 1)
    private val bytes: ByteBuffer = ByteBuffer.allocateDirect(parameters * Float.SIZE_BYTES).order(ByteOrder.nativeOrder())

    /** The values as an input of other graphs; they stay this object's. */
    internal val tensor: OnnxTensor =
        OnnxTensor.createTensor(session.environment, bytes.asFloatBuffer(), longArrayOf(parameters.toLong()))

    /** A view of the values. */
    val values: FloatBuffer get() = bytes.asReadOnlyBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer()

    /** `values <- fl(values + c_k z_k)` for each step k, in order: its noise seed and its coefficient. */
    fun apply(seeds: LongArray, coefficients: FloatArray) {
        require(seeds.size == coefficients.size) { "${seeds.size} seeds, ${coefficients.size} coefficients" }
        for (first in seeds.indices step STEPS_PER_CALL) {
            val end = minOf(first + STEPS_PER_CALL, seeds.size)
            Feeds().use { feeds ->
                feeds.lend("state", tensor)
                feeds.numbers("seeds", seeds.copyOfRange(first, end), end - first)
                feeds.floats("coefficients", coefficients.copyOfRange(first, end))
                session.run(feeds.tensors, emptySet(), mapOf("state_out" to tensor)).close()
            }
        }
    }

    /** SHA-256 of the little-endian float32 bytes. */
    fun sha256(): String {
        val raw = ByteBuffer.allocate(bytes.capacity()).order(ByteOrder.LITTLE_ENDIAN)
        raw.asFloatBuffer().put(values)
        return sha256Of(raw.array())
    }

    override fun close() {
        tensor.close()
        session.close()
    }

    private companion object {
        /** Steps per call of the update graph, whose noise words are made at once. */
        const val STEPS_PER_CALL = 32
    }
}
