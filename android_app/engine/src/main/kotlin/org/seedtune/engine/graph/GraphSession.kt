package org.seedtune.engine.graph

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import java.io.Closeable
import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.StoppedException

/**
 * One graph in ONNX Runtime, its weights mapped from their file, with the settings of the Python runtime
 * (`runtime/graphs/session.py` says why each is what it is). One thread at a time may use it.
 *
 * What the Java interface lacks is an arena that all sessions share. Each has its own here, or none.
 *
 * @param arena whether it keeps memory for its next run. Of sessions that take turns, each would keep its own peak; without arenas
 * they share what the C library keeps (docs/log/2026-11-24.md, "Stages on the JVM").
 * @param interruption ends a call; null where a call must not be cut short.
 * @throws SeedTuneException ONNX Runtime refuses the graph.
 */
internal class GraphSession(
    file: File, threads: Int, arena: Boolean = true, private val interruption: Interruption? = null,
) : Closeable {
    internal val environment: OrtEnvironment = environment()
    private val options = OrtSession.SessionOptions()
    private val path = file.path
    private val session: OrtSession

    init {
        try {
            options.setIntraOpNumThreads(threads)
            options.setInterOpNumThreads(1)
            options.setCPUArenaAllocator(arena)
            options.setMemoryPatternOptimization(false)
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR)
            for ((key, value) in SETTINGS) options.addConfigEntry(key, value)
            session = environment.createSession(file.path, options)
        } catch (error: OrtException) {
            options.close()
            throw SeedTuneException(
                "ONNX Runtime cannot open this graph",
                file.path,
                error.message?.lineSequence()?.first(),
                "a graph that ONNX Runtime ${environment.version} runs on the CPU",
                "export the bundle again",
                error,
            )
        }
    }

    /** The names of what it can return. */
    val outputs: Set<String> get() = session.outputNames

    /**
     * Runs the graph; the caller closes the result. [pinned] outputs are written into tensors of the caller.
     *
     * @throws StoppedException by its interruption.
     */
    internal fun run(
        feeds: Map<String, OnnxTensor>,
        outputs: Set<String>,
        pinned: Map<String, OnnxTensor> = emptyMap(),
    ): OrtSession.Result =
        try {
            OrtSession.RunOptions().use { options ->
                val call = { session.run(feeds, outputs, pinned, options) }
                if (interruption == null) call() else interruption.during(options, call)
            }
        } catch (error: OrtException) {
            throw SeedTuneException(
                "ONNX Runtime cannot run this graph",
                path,
                error.message?.lineSequence()?.first(),
                remedy = "if memory is short, allow fewer rows a call or set a memory limit",
                cause = error,
            )
        }

    override fun close() {
        session.close()
        options.close()
    }

    companion object {
        private val SETTINGS = linkedMapOf(
            "session.disable_prepacking" to "1",
            "session.intra_op.allow_spinning" to "0",
            "session.inter_op.allow_spinning" to "0",
            "mlas.disable_kleidiai" to "1",
        )

        /** The environment of this process; ONNX Runtime has one. */
        internal fun environment(): OrtEnvironment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, "seedtune")

        /** The processors this process may use. */
        fun defaultThreads(): Int = Runtime.getRuntime().availableProcessors()
    }
}
