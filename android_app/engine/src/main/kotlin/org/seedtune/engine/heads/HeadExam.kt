package org.seedtune.engine.heads

import kotlin.math.exp
import org.seedtune.engine.bundle.Contrastive
import org.seedtune.engine.bundle.RobustHeads
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.evaluation.Evaluation
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State

/** What a state of heads is judged by. */
internal interface HeadExam {
    /** The validation rows, by which the best state is chosen; none where nothing can be judged. */
    val heldOut: IntArray

    /** What a step is fed. */
    val feeder: Feeder

    /** Losses and probabilities of [heldOut] at [state]; [advance] hears how many rows are done, and may end it by throwing. */
    fun evaluate(graphs: Graphs, state: State, advance: (done: Int, of: Int) -> Unit): Evaluation
}

/** Linear evaluation on the labelled rows, and the contrastive loss of the validation rows as anchors. */
internal class ContrastiveExam(private val rows: HeadRows, loss: Contrastive) : HeadExam {
    private val coupled = CoupledRows(rows, loss)
    private val train = rows.split("train")
    override val feeder: Feeder get() = coupled
    override val heldOut = if (LinearEvaluation.canBeLearnt(labelsOf(train), rows.objective.classes)) rows.split("validation") else IntArray(0)

    override fun evaluate(graphs: Graphs, state: State, advance: (done: Int, of: Int) -> Unit): Evaluation = graphs.open("eval").use { graph ->
        advance(0, heldOut.size)
        val losses = losses(graph, state)
        val embeddings = embeddings(graph, state, train + heldOut)
        val found = LinearEvaluation.logProbabilities(
            embeddings.subList(0, train.size), labelsOf(train), embeddings.subList(train.size, embeddings.size), rows.objective.classes,
        )
        val probabilities = found.map { row -> FloatArray(row.size) { exp(row[it]) } }
        val scores = FloatArray(heldOut.size) { if (Evaluator.mostProbable(probabilities[it]) == rows.labels[heldOut[it]]) 1f else 0f }
        advance(heldOut.size, heldOut.size)
        Evaluation(losses, scores, probabilities)
    }

    private fun losses(graph: Graph, state: State): FloatArray {
        val positives = coupled.positivesOf(heldOut, SEED, STEP)
        val negatives = coupled.negatives(SEED, STEP)
        val firsts = (heldOut.indices step ANCHORS_AT_ONCE).toList()
        val batches = firsts.asSequence().flatMap { first ->
            val end = minOf(first + ANCHORS_AT_ONCE, heldOut.size)
            coupled.batches(heldOut.copyOfRange(first, end) + positives.copyOfRange(first, end) + negatives, ANCHORS_AT_ONCE)
        }
        val losses = FloatArray(heldOut.size)
        var done = 0
        graph.run(setOf("loss"), batches, mapOf("state" to state.tensor)) { batch, found ->
            found.getValue("loss").floatBuffer.get(losses, done, batch.index.size)
            done += batch.index.size
        }
        return losses
    }

    private fun embeddings(graph: Graph, state: State, places: IntArray): List<FloatArray> {
        val found = ArrayList<FloatArray>(places.size)
        val batches = (places.indices step ROWS_AT_ONCE).asSequence().map { coupled.alone(places.copyOfRange(it, minOf(it + ROWS_AT_ONCE, places.size))) }
        graph.run(setOf("embeddings"), batches, mapOf("state" to state.tensor)) { batch, outputs ->
            val values = outputs.getValue("embeddings").floatBuffer
            repeat(batch.index.size) { found += FloatArray(rows.objective.features).also { row -> values.get(row) } }
        }
        return found
    }

    private fun labelsOf(places: IntArray) = IntArray(places.size) { rows.labels[places[it]] }

    private companion object {
        // As in Python: the group of a step which no run comes to.
        const val SEED = 0L
        const val STEP = 0xFFFFFFFFL
        const val ANCHORS_AT_ONCE = 512
        const val ROWS_AT_ONCE = 4096
    }
}

/** Loss of the validation rows, and what the joint head says of them. */
internal class RobustExam(rows: HeadRows, loss: RobustHeads) : HeadExam {
    override val heldOut = rows.split("validation")
    override val feeder: Feeder = ArrayRows(rows, loss, rows.split("train"))
    private val judged = ArrayRows(rows, loss, heldOut)

    override fun evaluate(graphs: Graphs, state: State, advance: (done: Int, of: Int) -> Unit): Evaluation =
        Evaluator(graphs.open("eval"), completes = false).use { it.evaluate(state, judged, ROWS_AT_ONCE, advance) }

    private companion object {
        const val ROWS_AT_ONCE = 4096
    }
}
