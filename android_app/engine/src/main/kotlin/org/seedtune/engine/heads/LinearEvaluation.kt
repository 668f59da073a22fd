package org.seedtune.engine.heads

import kotlin.math.max
import kotlin.math.sqrt
import org.seedtune.engine.start.LinearProbe
import org.seedtune.engine.start.Logistic

/** How well a logistic regression over embeddings of training rows tells the classes of others; as `runtime/heads/linear_evaluation.py`. */
internal object LinearEvaluation {
    private const val SEED = 0L

    /** Whether there are two rows or more of each of [classes] classes among [labels]. */
    fun canBeLearnt(labels: IntArray, classes: Int): Boolean = classes > 1 && LinearProbe.tooFew(labels, classes) == null

    /** The log-probability of each of [classes] classes for each of [others], learnt from [embeddings] with [labels]. */
    fun logProbabilities(embeddings: List<FloatArray>, labels: IntArray, others: List<FloatArray>, classes: Int): List<FloatArray> {
        val features = embeddings.first().size
        val learnt = LinearProbe.chosenRows(labels, features, SEED)
        val given = List(learnt.size) { FloatArray(classes) }
        val values = LinearProbe.solve(learnt.map { embeddings[it] }, given, IntArray(learnt.size) { labels[learnt[it]] }, SEED).values
        return others.map { row ->
            val length = max(sqrt(row.sumOf { it.toDouble() * it }), SMALLEST_NORM)
            val scores = DoubleArray(classes) { label ->
                var score = values[classes * features + label].toDouble()
                for (place in 0 until features) score += values[label * features + place].toDouble() * (row[place] / length)
                score
            }
            val found = Logistic.logSoftmax(scores)
            FloatArray(classes) { found[it].toFloat() }
        }
    }

    private const val SMALLEST_NORM = 1e-12
}
