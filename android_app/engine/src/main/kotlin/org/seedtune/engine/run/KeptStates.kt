package org.seedtune.engine.run

import java.io.File
import java.nio.FloatBuffer
import java.util.Locale
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.Vectors
import org.seedtune.engine.files.hexadecimal
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.Journal

/**
 * The folder `states` of a RUN folder: STEP.safetensors with a state and both moments of AdamW, [parameters] values each. A run along
 * gradients keeps them, because its journal cannot make them again: latest and best.
 */
internal class KeptStates(run: File, private val parameters: Int) {
    private val folder = File(run, "states")

    /** A state [n], and both moments [n]. */
    class Kept(val state: FloatArray, val firstMoment: FloatArray, val secondMoment: FloatArray)

    /** The steps whose states are there, in order. */
    fun steps(): List<Int> = folder.list().orEmpty().mapNotNull { NAME.matchEntire(it)?.groupValues?.get(1)?.toIntOrNull() }.sorted()

    /** The latest of them that [journal] knows; 0 where there is none. */
    fun latest(journal: Journal): Int = steps().lastOrNull { it <= journal.steps } ?: 0

    /**
     * Keeps what stands after [step] steps; on return it survives a power cut.
     *
     * @throws SeedTuneException the file cannot be written.
     */
    fun write(step: Int, kept: Kept) {
        if (!folder.isDirectory && !folder.mkdir()) {
            throw SeedTuneException("the folder cannot be made", folder.path, remedy = "free storage or choose another folder")
        }
        val shapes = NAMES.associateWith { listOf(parameters) }
        writeDurably(file(step), Vectors.encode(shapes, listOf(kept.state, kept.firstMoment, kept.secondMoment)))
    }

    /**
     * What stood after [step] steps, which are in [steps].
     *
     * @throws SeedTuneException it is damaged, or not what [journal] recorded.
     */
    fun read(step: Int, journal: Journal): Kept {
        val (state, firstMoment, secondMoment) = Vectors.read(file(step), NAMES, parameters)
        val recorded = (journal.step(step - 1).last() as GradientRecord).stateSha256
        val found = State.sha256BytesOf(FloatBuffer.wrap(state))
        if (!found.contentEquals(recorded)) {
            throw SeedTuneException(
                "the kept state is not the one that the journal recorded",
                file(step).path,
                hexadecimal(found),
                "SHA-256 ${hexadecimal(recorded)}",
                "restore the folder from a copy, or start a new run",
            )
        }
        return Kept(state, firstMoment, secondMoment)
    }

    /** Removes the others. */
    fun keepOnly(steps: Set<Int>) = (steps() - steps).forEach { file(it).delete() }

    private fun file(step: Int) = File(folder, "%06d.safetensors".format(Locale.ROOT, step))

    private companion object {
        val NAMES = listOf("state", "first_moment", "second_moment")
        val NAME = Regex("([0-9]+)\\.safetensors")
    }
}
