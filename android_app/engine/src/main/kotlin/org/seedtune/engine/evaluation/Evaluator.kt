package org.seedtune.engine.evaluation

import java.io.Closeable
import java.nio.LongBuffer
import kotlin.math.exp
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State

/**
 * Results in the order of the examples.
 *
 * @property losses cross-entropy over the label words, or the mean over the tokens of the response.
 * @property scores 1 where the label is the most probable one, else 0; of a completion task the share of the response's tokens
 * that are the most probable ones.
 * @property probabilities over the labels, a row an example; null in a completion task.
 */
class Evaluation internal constructor(val losses: FloatArray, val scores: FloatArray, val probabilities: List<FloatArray>?) {
    /** Mean score. */
    val accuracy: Double get() = scores.sumOf { it.toDouble() } / scores.size

    /** Mean loss. */
    val loss: Double get() = losses.sumOf { it.toDouble() } / losses.size
}

/** Hidden states and log-probabilities of labels, a row an example. */
internal class Frozen(val hidden: List<FloatArray>, val logProbabilities: List<FloatArray>) {
    /** Whether every number is finite. */
    val isFinite: Boolean get() = (hidden + logProbabilities).all { row -> row.all { it.isFinite() } }
}

/** Runs the eval graph [graph] of a task that [completes] texts, or chooses labels. */
internal class Evaluator(private val graph: Graph, private val completes: Boolean) : Closeable by graph {
    constructor(bundle: Bundle, graphs: Graphs) : this(graphs.open("eval"), bundle.manifest.languageModel.task.completes)

    /**
     * Loss and score of all rows of [feeder] by [state], in calls of at most [tokensPerCall] tokens; [advance] hears how many rows are
     * done, and may end it by throwing.
     */
    fun evaluate(state: State, feeder: Feeder, tokensPerCall: Int, advance: (done: Int, of: Int) -> Unit = { _, _ -> }): Evaluation {
        val count = feeder.size
        val losses = FloatArray(count)
        val scores = FloatArray(count)
        val probabilities = if (completes) null else Array(count) { FloatArray(0) }
        val second = if (completes) "token_accuracy" else "log_probabilities"
        val batches = feeder.batches(IntArray(count) { it }, tokensPerCall)
        var done = 0
        graph.run(setOf("loss", second), batches, mapOf("state" to state.tensor)) { batch, found ->
            val loss = found.getValue("loss").floatBuffer
            val values = found.getValue(second).floatBuffer
            // A completion task has none.
            val labels = batch.feeds.tensors["label"]?.longBuffer ?: LongBuffer.allocate(0)
            for (place in batch.index) {
                losses[place] = loss.get()
                if (probabilities == null) {
                    scores[place] = values.get()
                } else {
                    val row = FloatArray(values.capacity() / batch.index.size) { exp(values.get()) }
                    probabilities[place] = row
                    scores[place] = if (mostProbable(row).toLong() == labels.get()) 1f else 0f
                }
            }
            done += batch.index.size
            advance(done, count)
        }
        return Evaluation(losses, scores, probabilities?.toList())
    }

    /**
     * What the language-model head reads of the untouched model, and the log-probabilities of the labels, for the rows [places] in their
     * order.
     *
     * @param zero the state of the untouched model.
     * @param advance as of [evaluate].
     */
    fun frozen(zero: State, feeder: Feeder, places: IntArray, tokensPerCall: Int, advance: (done: Int, of: Int) -> Unit = { _, _ -> }): Frozen {
        var done = 0
        val hidden = Array(places.size) { FloatArray(0) }
        val logProbabilities = Array(places.size) { FloatArray(0) }
        graph.run(setOf("hidden", "log_probabilities"), feeder.batches(places, tokensPerCall), mapOf("state" to zero.tensor)) { batch, found ->
            for ((name, into) in listOf("hidden" to hidden, "log_probabilities" to logProbabilities)) {
                val values = found.getValue(name).floatBuffer
                val width = values.capacity() / batch.index.size
                for (place in batch.index) into[place] = FloatArray(width).also { values.get(it) }
            }
            done += batch.index.size
            advance(done, places.size)
        }
        return Frozen(hidden.toList(), logProbabilities.toList())
    }

    companion object {
        /** The place of the largest of [probabilities], the first of equals. */
        fun mostProbable(probabilities: FloatArray): Int = probabilities.indices.maxByOrNull { probabilities[it] }!!
    }
}
