package org.seedtune.engine.graph

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.seedtune.engine.files.hexadecimal
import org.seedtune.engine.files.sha256BytesOf

/**
 * The trainable state: float32 vectors, changed in place by an optimizer and by nothing else. Zero, as they are at the start, means
 * the untouched model.
 *
 * @param update what adds noise to it; stays the caller's.
 * @param parameters n.
 * @param groups G: 1 for a model, or more.
 * @param stacked whether the graphs have a state [G, n] rather than [n].
 */
internal class State(
    private val update: Update, val parameters: Int, val groups: Int = 1, val stacked: Boolean = groups > 1,
) : Closeable {
    private val bytes: ByteBuffer = ByteBuffer.allocateDirect(sizeBytes(parameters, groups)).order(ByteOrder.nativeOrder())

    /** The values as an input of graphs; they stay this object's. */
    val tensor: OnnxTensor = OnnxTensor.createTensor(
        GraphSession.environment(),
        bytes.asFloatBuffer(),
        if (stacked) longArrayOf(groups.toLong(), parameters.toLong()) else longArrayOf(parameters.toLong()),
    )

    /** The values [G, n] themselves, for whom it is to change them. */
    val values: FloatBuffer get() = bytes.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer()

    /** Sets the parameters from [offset] on to [start], before the first step. */
    fun put(offset: Int, start: FloatArray) {
        val to = values
        to.position(offset)
        to.put(start)
    }

    /** `values <- fl(values + c_k z_k)` for each probe k in order: [seeds] of the noise [K], [coefficients] [K, G]. */
    fun apply(seeds: LongArray, coefficients: FloatArray) {
        require(seeds.size * groups == coefficients.size) { "${seeds.size} seeds, ${coefficients.size} coefficients for $groups groups" }
        update.add(this, seeds, coefficients)
    }

    /** Has the values of [other], which has the same shape, from now on. */
    fun take(other: State) {
        if (other !== this) values.put(other.values)
    }

    /** A copy of the states of some groups, one behind the other. */
    fun of(chosen: IntArray): FloatArray {
        val copy = FloatArray(chosen.size * parameters)
        chosen.forEachIndexed { place, group ->
            val from = values
            from.position(group * parameters)
            from.get(copy, place * parameters, parameters)
        }
        return copy
    }

    /** Another state of the same shape, zero; the caller closes it. */
    fun zeroLike() = State(update, parameters, groups, stacked)

    /** SHA-256 of the little-endian float32 bytes, in hexadecimal. */
    fun sha256(): String = hexadecimal(sha256Bytes())

    /** Likewise, 32 bytes. */
    fun sha256Bytes(): ByteArray = sha256BytesOf(values)

    override fun close() = tensor.close()

    companion object {
        /** SHA-256 of the little-endian float32 bytes of [values], from their position on; 32 bytes. */
        fun sha256BytesOf(values: FloatBuffer): ByteArray {
            val raw = ByteBuffer.allocate(values.remaining() * Float.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
            raw.asFloatBuffer().put(values)
            return sha256BytesOf(raw.array())
        }

        private fun sizeBytes(parameters: Int, groups: Int): Int {
            val size = parameters.toLong() * groups * Float.SIZE_BYTES
            require(parameters >= 1 && groups >= 1 && size <= Int.MAX_VALUE) { "$groups groups of $parameters values: $size bytes" }
            return size.toInt()
        }
    }
}
