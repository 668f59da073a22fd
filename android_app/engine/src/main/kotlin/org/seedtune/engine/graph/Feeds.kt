package org.seedtune.engine.graph

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OnnxJavaType
import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.nio.LongBuffer
import org.seedtune.engine.data.Grid

/** Inputs of one call of a graph. Owns the tensors that it makes, not those it is [lend]. */
internal class Feeds : Closeable {
    private val owned = ArrayList<OnnxTensor>()
    private val byName = LinkedHashMap<String, OnnxTensor>()
    private val environment = GraphSession.environment()

    val tensors: Map<String, OnnxTensor> get() = byName

    fun numbers(name: String, values: LongArray, vararg shape: Int) =
        own(name, OnnxTensor.createTensor(environment, LongBuffer.wrap(values), longs(shape)))

    fun numbers(name: String, grid: Grid) = numbers(name, grid.values, grid.rows, grid.columns)

    fun floats(name: String, values: FloatArray, vararg shape: Int) =
        own(name, OnnxTensor.createTensor(environment, FloatBuffer.wrap(values), longs(shape)))

    /** Bytes as they are, in a direct buffer of the native order, which is used in place. */
    fun raw(name: String, bytes: ByteBuffer, type: OnnxJavaType, vararg shape: Int) =
        own(name, OnnxTensor.createTensor(environment, bytes.order(ByteOrder.nativeOrder()), longs(shape), type))

    fun lend(name: String, tensor: OnnxTensor) {
        byName[name] = tensor
    }

    override fun close() = owned.forEach(OnnxTensor::close)

    private fun own(name: String, tensor: OnnxTensor) {
        owned += tensor
        byName[name] = tensor
    }

    private fun longs(shape: IntArray) = LongArray(shape.size) { shape[it].toLong() }
}
