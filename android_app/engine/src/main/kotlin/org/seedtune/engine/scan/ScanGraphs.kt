package org.seedtune.engine.scan

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import java.io.Closeable
import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State

/** probe.onnx, the classifier and loss.onnx, one behind the other. */
internal class ScanGraphs(private val scan: ScanFolder, classifier: File, threads: Int) : Closeable {
    private val probe = GraphSession(scan.graph("probe"), threads)
    private val loss = GraphSession(scan.graph("loss"), threads)
    private val answers = UserClassifier(classifier, threads)

    /**
     * The losses of both sides of a probe, [2, R] one behind the other.
     *
     * @param rows of the scan, [R].
     * @param state of all its pictures.
     */
    fun losses(rows: IntArray, state: State, seed: Long, epsilon: Double): FloatArray = Feeds().use { feeds ->
        val pixels = scan.pictures[0].size
        feeds.floats("image", FloatArray(rows.size * pixels) { value(rows[it / pixels], it % pixels) }, rows.size, pixels)
        feeds.floats("state", state.of(rows), rows.size, state.parameters)
        feeds.numbers("seed", longArrayOf(seed), 1)
        feeds.floats("epsilon", floatArrayOf(epsilon.toFloat()), 1)
        scan.patterns?.let { all -> feeds.numbers("pattern", LongArray(rows.size * pixels) { all[rows[it / pixels]][it % pixels] }, rows.size, pixels) }
        probe.run(feeds.tensors, setOf("input", "correlation", "contrast")).use { made ->
            answers.scores(made.get("input").get() as OnnxTensor).use { said ->
                Feeds().use { last ->
                    last.lend("scores", said.get(0) as OnnxTensor)
                    last.lend("correlation", made.get("correlation").get() as OnnxTensor)
                    last.lend("contrast", made.get("contrast").get() as OnnxTensor)
                    last.numbers("label", LongArray(2 * rows.size) { scan.labels[rows[it % rows.size]] }, 2 * rows.size)
                    loss.run(last.tensors, setOf("losses")).use { found ->
                        val losses = (found.get("losses").get() as OnnxTensor).floatBuffer
                        FloatArray(2 * rows.size).also(losses::get)
                    }
                }
            }
        }
    }

    /** As Python has it: a whole 255th in float32. */
    private fun value(row: Int, pixel: Int): Float = (scan.pictures[row][pixel].toInt() and 0xFF).toFloat() / 255f

    override fun close() {
        probe.close()
        loss.close()
        answers.close()
    }
}

/** The user's own classifier, with ONNX Runtime's own settings, as it is served elsewhere. */
private class UserClassifier(private val file: File, threads: Int) : Closeable {
    private val options = OrtSession.SessionOptions()
    private val session: OrtSession

    init {
        try {
            options.setIntraOpNumThreads(threads)
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
            session = GraphSession.environment().createSession(file.path, options)
        } catch (error: OrtException) {
            options.close()
            throw refused("ONNX Runtime cannot open this classifier", error)
        }
    }

    /** The scores of [pictures]; the caller closes them. */
    fun scores(pictures: OnnxTensor): OrtSession.Result =
        try {
            session.run(mapOf(session.inputNames.single() to pictures))
        } catch (error: OrtException) {
            throw refused("the classifier cannot compute these images", error)
        }

    private fun refused(what: String, error: OrtException) =
        SeedTuneException(what, file.path, error.message?.lineSequence()?.first(), remedy = "export it again", cause = error)

    override fun close() {
        session.close()
        options.close()
    }
}
