package org.seedtune.engine.stages

import ai.onnxruntime.OnnxJavaType
import java.io.File
import java.io.RandomAccessFile
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.json.whole

/** A tensor of a file of weights: its type, its shape in elements, and its bytes from [offset] of [file] on. */
internal class Tensor(val file: File, val type: OnnxJavaType, val shape: LongArray, val offset: Long, val sizeBytes: Int)

/** Where the tensors of a weights file lie, from its header (github.com/huggingface/safetensors, "Format"). */
internal object Tensors {
    private val TYPES = mapOf(
        "F32" to OnnxJavaType.FLOAT,
        "U8" to OnnxJavaType.UINT8,
        "I8" to OnnxJavaType.INT8,
        "I32" to OnnxJavaType.INT32,
        "I64" to OnnxJavaType.INT64,
        "BOOL" to OnnxJavaType.BOOL,
        "F16" to OnnxJavaType.FLOAT16,
        "BF16" to OnnxJavaType.BFLOAT16,
    )
    private const val MAX_HEADER_BYTES = 100L shl 20
    private const val REMEDY = "copy or export the bundle again"

    /**
     * Name -> tensor of the safetensors file [path].
     *
     * @throws SeedTuneException the header is damaged, or a tensor lies outside the file or is larger than 2 GiB.
     */
    fun read(path: File): Map<String, Tensor> =
        reading(path.path, "the weights file has a damaged header", REMEDY) {
            RandomAccessFile(path, "r").use { file ->
                val length = java.lang.Long.reverseBytes(file.readLong())
                require(length in 2..minOf(MAX_HEADER_BYTES, file.length() - Long.SIZE_BYTES)) { "a header of $length bytes" }
                val text = ByteArray(length.toInt()).also(file::readFully)
                val header = parsed(utf8(text)).jsonObject
                (header - "__metadata__").mapValues { (name, entry) -> tensor(name, entry.jsonObject, Long.SIZE_BYTES + length, path, file.length()) }
            }
        }

    private fun tensor(name: String, entry: JsonObject, start: Long, path: File, fileBytes: Long): Tensor {
        val type = requireNotNull(TYPES[entry.getValue("dtype").jsonPrimitive.content]) { "$name has a type that is not known" }
        val shape = entry.getValue("shape").jsonArray.map { it.jsonPrimitive.whole }.toLongArray()
        val offsets = entry.getValue("data_offsets").jsonArray.map { it.jsonPrimitive.whole }
        require(offsets.size == 2 && shape.all { it >= 0 }) { "$name has no such place or shape" }
        val (first, end) = offsets
        // A dimension of 0 first: the product of the others may be beyond any number.
        val size = if (0L in shape) 0L else shape.fold(type.size.toLong()) { product, dimension -> Math.multiplyExact(product, dimension) }
        require(first >= 0 && end >= first && end - first == size && end <= fileBytes - start) { "$name does not fit: bytes $first to $end" }
        if (size > Int.MAX_VALUE) {
            throw SeedTuneException(
                "a tensor is too large for a memory limit on the JVM", value = "$name, $size bytes", rule = "at most 2 GiB, where a buffer of the JVM ends",
                remedy = "export with --storage int8, or leave the memory limit out",
            )
        }
        return Tensor(path, type, shape, start + first, size.toInt())
    }
}
