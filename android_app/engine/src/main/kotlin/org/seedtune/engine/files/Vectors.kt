package org.seedtune.engine.files

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.json.whole

/**
 * Named float32 arrays in a safetensors file (github.com/huggingface/safetensors, "Format"), for states of a run; the bytes are those
 * of the Python runtime.
 */
internal object Vectors {
    private const val ALIGNMENT = 8
    private const val WHAT = "the vectors of a state"
    private const val RESTORE = "restore the file from a copy"

    /**
     * The bytes of a file of tensors, in order and without gaps.
     *
     * @param shapes of the tensors, by name.
     * @param data their values, one array behind the other; how they are split into arrays does not matter.
     * @param about texts about them.
     */
    fun encode(shapes: Map<String, List<Int>>, data: List<FloatArray>, about: Map<String, String> = emptyMap()): ByteArray {
        val header = LinkedHashMap<String, Any>()
        if (about.isNotEmpty()) header["__metadata__"] = about
        var end = 0
        for ((name, shape) in shapes) {
            val begin = end
            end += shape.fold(Float.SIZE_BYTES, Math::multiplyExact)
            header[name] = linkedMapOf("dtype" to "F32", "shape" to shape, "data_offsets" to listOf(begin, end))
        }
        require(data.sumOf { it.size } * Float.SIZE_BYTES == end) { "${data.map { it.size }} values for tensors of $shapes" }
        val text = JsonText.encode(header).let { it + " ".repeat((ALIGNMENT - it.length % ALIGNMENT) % ALIGNMENT) }.toByteArray()
        val raw = ByteBuffer.allocate(Long.SIZE_BYTES + text.size + end).order(ByteOrder.LITTLE_ENDIAN)
        raw.putLong(text.size.toLong()).put(text)
        val floats = raw.asFloatBuffer()
        data.forEach(floats::put)
        return raw.array()
    }

    /**
     * The vectors [names] of [file], [length] values each.
     *
     * @throws SeedTuneException the file is missing or damaged, or holds others.
     */
    fun read(file: File, names: List<String>, length: Int): List<FloatArray> {
        val raw = readPlainFile(file, WHAT, RESTORE)
        val rule = "a safetensors file with ${names.joinToString()}, $length float32 numbers each"
        fun damaged(value: Any) = SeedTuneException("the file does not hold what it should", file.path, value, rule, RESTORE)
        val bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        val size = if (raw.size < Long.SIZE_BYTES) 0 else bytes.getLong(0)
        if (size !in 1..raw.size.toLong() - Long.SIZE_BYTES) throw damaged("a header of $size bytes in ${raw.size}")
        val start = Long.SIZE_BYTES + size.toInt()
        return reading(file.path, "$WHAT cannot be read", RESTORE) {
            val header = parsed(utf8(raw.copyOfRange(Long.SIZE_BYTES, start))).jsonObject
            names.map { name ->
                val entry = header[name]?.jsonObject ?: throw damaged("no $name")
                val (first, last) = entry.numbers("data_offsets").takeIf { it.size == 2 } ?: throw damaged("$name: $entry")
                val isVector = entry["dtype"]?.jsonPrimitive?.content == "F32" && entry.numbers("shape") == listOf(length.toLong())
                val fits = first in 0..last && last <= raw.size - start && last - first == length.toLong() * Float.SIZE_BYTES
                if (!isVector || !fits) throw damaged("$name: $entry")
                bytes.position(start + first.toInt())
                FloatArray(length).also { bytes.asFloatBuffer().get(it) }
            }
        }
    }

    private fun JsonObject.numbers(name: String): List<Long> =
        (this[name] as? JsonArray).orEmpty().map { it.jsonPrimitive.whole }
}
