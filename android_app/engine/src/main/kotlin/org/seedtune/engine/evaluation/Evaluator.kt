package org.seedtune.engine.evaluation

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import kotlin.math.exp
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State

/**
 * Results in the order of the examples.
 *
 * @property losses cross-entropy over the label words, or the mean over the tokens of the response.
 * @property scores 1 where the label is the most probable one, else 0; of a completion task the share of the response's tokens
 * that are the most probable ones.
 * @property probabilities over the labels, a row an example; null in a completion task.
 */
class Evaluation(val losses: FloatArray, val scores: FloatArray, val probabilities: List<FloatArray>?) {
    /** Mean score. */
    val accuracy: Double get() = scores.sumOf { it.toDouble() } / scores.size

    /** Mean loss. */
    val loss: Double get() = losses.sumOf { it.toDouble() } / losses.size
}

/** Runs the eval graph of [bundle]. */
internal class Evaluator(bundle: Bundle, threads: Int) : Closeable {
    private val session = GraphSession(bundle.graph("eval"), threads)
    private val completes = bundle.manifest.task.completes

    /** Loss and score of all rows of [feeder] by [state], in calls of at most [tokensPerCall] tokens. */
    fun evaluate(state: State, feeder: Feeder, tokensPerCall: Int): Evaluation {
        val count = feeder.examples.size
        val losses = FloatArray(count)
        val scores = FloatArray(count)
        val probabilities = if (completes) null else Array(count) { FloatArray(0) }
        for (batch in feeder.batches(IntArray(count) { it }, tokensPerCall)) {
            batch.use {
                val second = if (completes) "token_accuracy" else "log_probabilities"
                run(state, batch, setOf("loss", second)) { found ->
                    val loss = found.getValue("loss").floatBuffer
                    val values = found.getValue(second).floatBuffer
                    for (place in batch.index) {
                        losses[place] = loss.get()
                        if (probabilities == null) {
                            scores[place] = values.get()
                        } else {
                            val row = FloatArray(values.capacity() / batch.index.size) { exp(values.get()) }
                            probabilities[place] = row
                            scores[place] = if (mostProbable(row) == feeder.examples[place].label) 1f else 0f
                        }
                    }
                }
            }
        }
        return Evaluation(losses, scores, probabilities?.toList())
    }

    private fun run(state: State, batch: Batch, outputs: Set<String>, use: (Map<String, OnnxTensor>) -> Unit) {
        batch.feeds.lend("state", state.tensor)
        session.run(batch.feeds.tensors, outputs).use { found -> use(outputs.associateWith { found.get(it).get() as OnnxTensor }) }
    }

    override fun close() = session.close()

    companion object {
        /** The place of the largest of [probabilities], the first of equals. */
        fun mostProbable(probabilities: FloatArray): Int = probabilities.indices.maxByOrNull { probabilities[it] }!!
    }
}
