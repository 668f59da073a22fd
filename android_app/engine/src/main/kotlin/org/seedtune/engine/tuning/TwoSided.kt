package org.seedtune.engine.tuning

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.GraphSession
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
class TwoSided(private val session: GraphSession, private val epsilon: Double) : Closeable by session {
    /** The estimate at [state] along the noise of [seed] over all rows of [batches], [count] of them. */
    fun measure(state: State, seed: Long, batches: Sequence<Batch>, count: Int): Estimate {
        val plus = FloatArray(count)
        val minus = FloatArray(count)
        for (batch in batches) {
            batch.use {
                batch.feeds.lend("state", state.tensor)
                batch.feeds.numbers("seed", longArrayOf(seed), 1)
                batch.feeds.floats("epsilon", floatArrayOf(epsilon.toFloat()))
                session.run(batch.feeds.tensors, setOf("loss_plus", "loss_minus")).use { found ->
                    scatter(found.get("loss_plus").get() as OnnxTensor, batch.index, plus)
                    scatter(found.get("loss_minus").get() as OnnxTensor, batch.index, minus)
                }
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
