package org.seedtune.engine.graph

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import org.seedtune.engine.data.Batch

/** A graph that is ready to run, however its weights are read. One thread at a time may use it. */
internal interface Graph : Closeable {
    /**
     * Runs [batches], taken one by one or some at once as memory allows, and closes them.
     *
     * @param outputs which outputs.
     * @param shared inputs that are the same for all batches (state, seed, epsilon).
     * @param use given each batch with its outputs, in the order of the batches; the outputs are gone when it returns.
     */
    fun run(outputs: Set<String>, batches: Sequence<Batch>, shared: Map<String, OnnxTensor>, use: (Batch, Map<String, OnnxTensor>) -> Unit)
}

/** Where the graphs of a bundle come from. */
internal interface Graphs : Closeable {
    /** The graph "probe", "eval" or "context"; the caller closes it. */
    fun open(name: String): Graph

    /** Cached tokens that a call of a graph may read, or null for the default. */
    val contextTokensPerCall: Int? get() = null

    /** Tokens that a call of the context graph may read, or null for the default. */
    val tokensPerContextCall: Int? get() = null
}

/** An input whose first axis are the layers of the model: made when it is wanted, one layer at a time. */
internal interface LayeredInput {
    val type: OnnxJavaType
    val layers: Int

    /** Of one layer. */
    val shape: IntArray
    val layerBytes: Int

    /** Writes a layer at the position of [into], which is a direct buffer, and moves the position behind it. */
    fun fill(layer: Int, into: ByteBuffer)
}

/** [Graph] in one session, over weights that ONNX Runtime maps from their file. */
internal class MappedGraph(file: File, threads: Int, interruption: Interruption?) : Graph {
    private val session = GraphSession(file, threads, interruption = interruption)
    private val buffers = LayerBuffers()

    override fun run(
        outputs: Set<String>,
        batches: Sequence<Batch>,
        shared: Map<String, OnnxTensor>,
        use: (Batch, Map<String, OnnxTensor>) -> Unit,
    ) {
        for (batch in batches) {
            batch.use {
                Feeds().use { layered ->
                    for ((name, input) in batch.layered) {
                        val whole = buffers.of(name, input.layers * input.layerBytes)
                        repeat(input.layers) { layer -> input.fill(layer, whole) }
                        layered.raw(name, whole.flip() as ByteBuffer, input.type, input.layers, *input.shape)
                    }
                    session.run(batch.feeds.tensors + layered.tensors + shared, outputs).use { found ->
                        use(batch, outputs.associateWith { found.get(it).get() as OnnxTensor })
                    }
                }
            }
        }
    }

    override fun close() = session.close()
}

/** Direct buffers by name, used again and again: the collector gives the memory of dropped ones back too late. */
internal class LayerBuffers {
    private val byName = HashMap<String, ByteBuffer>()

    /** An empty buffer of [sizeBytes]. */
    fun of(name: String, sizeBytes: Int): ByteBuffer {
        val found = byName[name]?.takeIf { it.capacity() >= sizeBytes } ?: ByteBuffer.allocateDirect(sizeBytes).also { byName[name] = it }
        found.clear()
        found.limit(sizeBytes)
        return found
    }
}
