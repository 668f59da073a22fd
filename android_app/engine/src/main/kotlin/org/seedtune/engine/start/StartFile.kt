package org.seedtune.engine.start

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Head
import org.seedtune.engine.bundle.StateLayout
import org.seedtune.engine.files.Vectors
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.graph.State
import org.seedtune.engine.json.readPlainFile

/**
 * `start.safetensors` of a RUN folder: the head that the state starts with. Its data are the head's values as the state has them:
 * W [labels, features], b [labels], s [1].
 */
internal object StartFile {
    const val NAME = "start.safetensors"
    private const val WHAT = "the start of the run"
    private const val REMEDY = "restore the folder from a copy, or start a new run"

    /** The bytes of the file for [probe]. */
    fun encode(probe: LinearProbe, head: Head): ByteArray {
        val shapes = linkedMapOf("weight" to listOf(head.labels, head.features), "bias" to listOf(head.labels), "scale" to listOf(1))
        val about = linkedMapOf("strength" to probe.strength, "rows" to probe.rows, "accuracy" to probe.accuracy, "loss" to probe.loss)
        return Vectors.encode(shapes, listOf(probe.values), about.mapValues { it.value.toString() })
    }

    /**
     * Lets [state], which is zero, start as the run in [folder] does.
     *
     * @param sha256 of the file; null for a run that starts from zero.
     * @throws SeedTuneException it is missing or altered, or of another bundle.
     */
    fun put(folder: File, sha256: String?, layout: StateLayout, state: State) {
        if (sha256 == null) return
        val file = File(folder, NAME)
        if (!file.exists()) {
            throw SeedTuneException("$WHAT is missing: its state is start and journal together", file.path, rule = "SHA-256 $sha256", remedy = REMEDY)
        }
        val raw = readPlainFile(file, WHAT, REMEDY)
        val found = sha256Of(raw)
        if (found != sha256) throw SeedTuneException("$WHAT has been altered", file.path, found, "SHA-256 $sha256", REMEDY)
        val bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        val head = layout.head
        val size = head?.let { it.parameters * Float.SIZE_BYTES } ?: 0L
        val first = raw.size - size
        if (head == null || first < Long.SIZE_BYTES || bytes.getLong(0) != first - Long.SIZE_BYTES) {
            throw SeedTuneException("$WHAT is that of another bundle", file.path, "${raw.size} bytes", "$head", REMEDY)
        }
        bytes.position(first.toInt())
        val values = FloatArray(head.parameters.toInt())
        bytes.asFloatBuffer().get(values)
        state.put(head.offset, values)
    }
}
