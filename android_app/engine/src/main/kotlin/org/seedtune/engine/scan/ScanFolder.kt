package org.seedtune.engine.scan

import ai.onnxruntime.OnnxJavaType
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.json.whole
import org.seedtune.engine.noise.Noise
import org.seedtune.engine.stages.Tensor
import org.seedtune.engine.stages.Tensors
import org.seedtune.engine.tuning.Recorded

/**
 * What a SCAN folder of the Python runtime says: the settings of its search, and the pictures that were searched.
 *
 * @property settings flat, as in the journal's header.
 * @property parameters n, of a picture's state.
 * @property pictures [G] of P bytes each, channels first.
 * @property labels [G].
 * @property patterns [G, P], or null where the attack has none.
 */
internal class ScanFolder private constructor(
    private val folder: File,
    val settings: Map<String, JsonPrimitive>,
    val seed: Long,
    val parameters: Int,
    val classifierSha256: String,
    val pictures: Array<ByteArray>,
    val labels: LongArray,
    val patterns: Array<LongArray>?,
) {
    val groups: Int get() = pictures.size

    val phases: Phases = Recorded(settings).let { recorded ->
        Phases(recorded.int("scan.opening"), recorded.int("steps"), recorded.double("scan.reach"), recorded.double("estimator.epsilon"))
    }

    fun graph(name: String) = File(folder, "graphs/$name.onnx")

    companion object {
        private const val REMEDY = "make the scan again"

        /** @throws SeedTuneException it is no SCAN folder, or a damaged one. */
        fun read(folder: File): ScanFolder {
            val path = File(folder, "scan.json")
            val text = utf8(readPlainFile(path, "the scan", REMEDY))
            val tensors = Tensors.read(File(folder, "searched.safetensors"))
            return reading(path.path, "this is no scan", REMEDY) {
                val fields = parsed(text).jsonObject
                val pictures = tensor(tensors, "pictures", OnnxJavaType.UINT8, 2)
                val groups = Math.toIntExact(pictures.shape[0])
                val seed = fields.getValue("seed").jsonPrimitive.whole
                val parameters = Math.toIntExact(fields.getValue("parameters").jsonPrimitive.whole)
                require(groups > 0 && parameters > 0 && seed in 0..Noise.WORD_MASK) { "no pictures, no state, or a seed out of range" }
                val labels = longs(tensor(tensors, "labels", OnnxJavaType.INT64, 1))
                require(labels.size == groups) { "${labels.size} labels of $groups pictures" }
                val patterns = tensors["patterns"]?.let { longs(tensor(tensors, "patterns", OnnxJavaType.INT64, 2)) }
                val pixels = Math.toIntExact(pictures.shape[1])
                require(patterns == null || patterns.size == groups * pixels) { "patterns that do not fit the pictures" }
                val bytes = bytes(pictures)
                ScanFolder(
                    folder,
                    fields.getValue("settings").jsonObject.mapValues { it.value.jsonPrimitive },
                    seed,
                    parameters,
                    fields.getValue("classifier").jsonObject.getValue("sha256").jsonPrimitive.content,
                    Array(groups) { bytes.copyOfRange(it * pixels, (it + 1) * pixels) },
                    labels,
                    patterns?.let { all -> Array(groups) { all.copyOfRange(it * pixels, (it + 1) * pixels) } },
                )
            }
        }

        private fun tensor(tensors: Map<String, Tensor>, name: String, type: OnnxJavaType, axes: Int): Tensor {
            val found = requireNotNull(tensors[name]) { "searched.safetensors has no $name" }
            require(found.type == type && found.shape.size == axes) { "$name has another type or shape" }
            return found
        }

        private fun bytes(tensor: Tensor): ByteArray = RandomAccessFile(tensor.file, "r").use { file ->
            file.seek(tensor.offset)
            ByteArray(tensor.sizeBytes).also(file::readFully)
        }

        private fun longs(tensor: Tensor): LongArray {
            val values = ByteBuffer.wrap(bytes(tensor)).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer()
            return LongArray(values.remaining()).also(values::get)
        }
    }
}

/** The two phases of a search: [opening] of its [steps], and how far a probe goes in either. */
internal class Phases(val opening: Int, val steps: Int, val reach: Double, val epsilon: Double) {
    init {
        if (opening !in 0..steps || steps < 1 || reach <= 0 || epsilon <= 0) {
            throw SeedTuneException("these are no settings of a scan", value = "$opening of $steps steps, $reach, $epsilon", remedy = "make the scan again")
        }
    }

    /** How far a probe of [step] (from 1) moves every parameter. */
    fun epsilonOf(step: Int): Double = if (step <= opening) reach else epsilon
}
