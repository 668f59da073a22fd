package org.seedtune.engine.tuning

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.State

/** One probe: float32 mean losses of both sides (as the journal keeps them) and what they imply. */
class Estimate(val lossPlus: Float, val lossMinus: Float, epsilon: Double) {
    /** (L+ - L-) / (2 epsilon) */
    val projectedGradient: Double = (lossPlus.toDouble() - lossMinus.toDouble()) / (2 * epsilon)

    /** Mean of both sides: the loss at the state itself, up to second order in epsilon. */
    val loss: Double get() = (lossPlus.toDouble() + lossMinus.toDouble()) / 2
}

/**
 * The two-sided estimate of a directional derivative: SPSA (Spall 1992), MeZO (arXiv 2305.17333), over the probe graph.
 * Losses of the examples are collected first and added in float64 in the order of the examples, so how they were split into
 * batches changes no more than the rounding of kernels.
 */
internal class TwoSided(private val graph: Graph, private val epsilon: Double) : Closeable by graph {
    /** The estimate at [state] along the noise of [seed] over all rows of [batches], [count] of them. */
    fun measure(state: State, seed: Long, batches: Sequence<Batch>, count: Int): Estimate {
        val plus = FloatArray(count)
        val minus = FloatArray(count)
        Feeds().use { shared ->
            shared.lend("state", state.tensor)
            shared.numbers("seed", longArrayOf(seed), 1)
            shared.floats("epsilon", floatArrayOf(epsilon.toFloat()))
            graph.run(setOf("loss_plus", "loss_minus"), batches, shared.tensors) { batch, found ->
                scatter(found.getValue("loss_plus"), batch.index, plus)
                scatter(found.getValue("loss_minus"), batch.index, minus)
            }
        }
        return Estimate(mean(plus), mean(minus), epsilon)
    }

    private fun scatter(tensor: OnnxTensor, places: IntArray, into: FloatArray) {
        val values = tensor.floatBuffer
        for (place in places) into[place] = values.get()
    }

    private fun mean(values: FloatArray): Float = (values.fold(0.0) { sum, value -> sum + value } / values.size).toFloat()
}
