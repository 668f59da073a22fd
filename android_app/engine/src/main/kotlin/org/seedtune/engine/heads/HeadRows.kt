package org.seedtune.engine.heads

import ai.onnxruntime.OnnxJavaType
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.Contrastive
import org.seedtune.engine.bundle.FeatureHeads
import org.seedtune.engine.bundle.RobustHeads
import org.seedtune.engine.json.reading
import org.seedtune.engine.stages.Tensor
import org.seedtune.engine.stages.Tensors

/** A matrix of a file, mapped: only the rows are touched that somebody asks for. */
internal class Matrix(private val bytes: ByteBuffer, val width: Int) {
    /** The rows [places], one behind the other. */
    fun rows(places: IntArray): FloatArray {
        val floats = bytes.asFloatBuffer()
        val found = FloatArray(places.size * width)
        for ((number, place) in places.withIndex()) {
            floats.position(place * width)
            floats.get(found, number * width, width)
        }
        return found
    }
}

/**
 * The rows of a bundle of heads, checked against its manifest.
 *
 * @property objective of the bundle.
 * @throws SeedTuneException the file is damaged, or holds other arrays than the manifest says.
 */
internal class HeadRows(bundle: Bundle, val objective: FeatureHeads) {
    val file = File(bundle.folder, FeatureHeads.ROWS)
    val sha256: String = bundle.manifest.files.getValue(FeatureHeads.ROWS).sha256
    private val tensors = Tensors.read(file)

    /** Of each row; [NONE] for none. */
    val labels: IntArray = integers("labels", objective.rows, NONE, objective.classes)

    private val splits = SPLITS.associateWith { name -> integers(name, null, 0, objective.rows).filter { labels[it] != NONE }.toIntArray() }

    /** The labelled rows of "train", "validation" or "test". */
    fun split(name: String): IntArray = splits.getValue(name)

    /** The array [name], [size] numbers from [least] until [end]. */
    fun integers(name: String, size: Int?, least: Int, end: Int): IntArray = reading(file.path, "the bundle's rows are damaged", REMEDY) {
        val tensor = tensor(name, OnnxJavaType.INT64)
        require(tensor.shape.size == 1 && (size == null || tensor.shape[0] == size.toLong())) { "$name has the shape ${tensor.shape.toList()}" }
        val values = mapped(tensor).asLongBuffer()
        IntArray(values.capacity()) { place ->
            val value = values.get(place)
            require(value >= least && value < end) { "$name has $value, which is not $least to ${end - 1}" }
            value.toInt()
        }
    }

    /** The array [name], a row of [width] numbers for each row. */
    fun matrix(name: String, width: Int): Matrix = reading(file.path, "the bundle's rows are damaged", REMEDY) {
        val tensor = tensor(name, OnnxJavaType.FLOAT)
        require(tensor.shape.contentEquals(longArrayOf(objective.rows.toLong(), width.toLong()))) { "$name has the shape ${tensor.shape.toList()}" }
        Matrix(mapped(tensor), width)
    }

    /** [offsets] of groups of [members], each of at least [least]; both checked. */
    fun groups(offsets: String, members: String, count: Int?, least: Int): Pair<IntArray, IntArray> {
        val found = integers(members, null, 0, objective.rows)
        val ends = integers(offsets, count?.plus(1), 0, Int.MAX_VALUE)
        reading(file.path, "the bundle's rows are damaged", REMEDY) {
            require(ends.size > 1 && ends[0] == 0 && ends.last() == found.size) { "$offsets do not end where $members do" }
            require((1 until ends.size).all { ends[it] - ends[it - 1] >= least }) { "$offsets do not rise" }
        }
        return ends to found
    }

    /** What a step is fed, and what states are judged by. */
    fun exam(): HeadExam = when (val loss = objective.loss) {
        is Contrastive -> ContrastiveExam(this, loss)
        is RobustHeads -> RobustExam(this, loss)
    }

    private fun tensor(name: String, type: OnnxJavaType): Tensor {
        val found = requireNotNull(tensors[name]) { "there is no $name" }
        require(found.type == type) { "$name is of the type ${found.type}" }
        return found
    }

    private fun mapped(tensor: Tensor): ByteBuffer = RandomAccessFile(tensor.file, "r").use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, tensor.offset, tensor.sizeBytes.toLong()).order(ByteOrder.LITTLE_ENDIAN)
    }

    companion object {
        const val NONE = -1
        private val SPLITS = listOf("train", "validation", "test")
        private const val REMEDY = "copy the bundle again, or export it again"
    }
}
