package org.seedtune.engine.start

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow

/**
 * Multinomial logistic regression beside given scores, by Newton's method with conjugate gradients; as `logistic.py`, which says it in
 * full: `scores = a lm + Z W^T + b`, and `l2` holds W back.
 *
 * @param features Z, [N] rows of r values of mean 0.
 * @param scores lm, [N] rows of L values.
 * @param truth the label of each row.
 * @param squares the sum of squares of each feature [r].
 * @param check called before each pass over the rows; ends the work by throwing.
 */
internal class Logistic(
    private val features: Array<DoubleArray>,
    private val scores: Array<DoubleArray>,
    private val truth: IntArray,
    private val squares: DoubleArray,
    private val check: () -> Unit = {},
) {
    private val rows = truth.size
    val labels = scores[0].size
    private val width = squares.size

    /** W, b and a, in this order, that leave the scores as they are. */
    fun untouched() = DoubleArray(labels * (width + 1) + 1).also { it[it.size - 1] = 1.0 }

    /** `a lm + Z W^T + b` of one row. */
    fun scoresOf(row: Int, parameters: DoubleArray): DoubleArray {
        val given = scores[row]
        return DoubleArray(labels) { label ->
            parameters.last() * given[label] + product(features[row], parameters, label * width) + parameters[labels * width + label]
        }
    }

    /** The parameters of least loss over the rows that are [learnt], from [start]. */
    fun fit(learnt: BooleanArray, l2: Double, start: DoubleArray): DoubleArray {
        val penalty = DoubleArray(start.size) { if (it < labels * width) l2 else TETHER }
        val centre = untouched()
        val total = max(1, learnt.count { it }).toDouble()
        var parameters = start
        var value = objective(learnt, penalty, centre, start)
        repeat(NEWTON_STEPS) {
            val probabilities = probabilities(learnt, parameters)
            val gradient = transposed { row -> probabilities[row]?.copyOf()?.also { it[truth[row]] -= 1.0 } }
            for (place in gradient.indices) gradient[place] += penalty[place] * (parameters[place] - centre[place])
            val curvature = curvature(probabilities, penalty)
            if (gradient.indices.sumOf { gradient[it] * gradient[it] / curvature[it] } <= TOLERANCE * total) return parameters
            val step = newtonStep(probabilities, penalty, gradient, curvature, total)
            val slope = gradient.indices.sumOf { gradient[it] * step[it] }
            var length = 1.0
            var moved = parameters
            var after = Double.POSITIVE_INFINITY
            for (halving in 0 until HALVINGS) {
                moved = DoubleArray(step.size) { parameters[it] + length * step[it] }
                after = objective(learnt, penalty, centre, moved)
                if (after <= value + DECREASE * length * slope) break
                length /= 2
                if (halving == HALVINGS - 1) return parameters
            }
            parameters = moved
            value = after
        }
        return parameters
    }

    /** Minus the inverse of the Hessian times [gradient]. */
    private fun newtonStep(
        probabilities: Array<DoubleArray?>, penalty: DoubleArray, gradient: DoubleArray, curvature: DoubleArray, total: Double,
    ): DoubleArray {
        val step = DoubleArray(gradient.size)
        val residual = DoubleArray(gradient.size) { -gradient[it] }
        val direction = DoubleArray(gradient.size) { residual[it] / curvature[it] }
        var square = residual.indices.sumOf { residual[it] * direction[it] }
        val target = min(LOOSE, (square / total).pow(0.25)).pow(2) * square
        repeat(INNER_STEPS) {
            val product = transposed { row ->
                probabilities[row]?.let { chances ->
                    val given = scores[row]
                    val moved = DoubleArray(labels) { label ->
                        direction.last() * given[label] + product(features[row], direction, label * width) + direction[labels * width + label]
                    }
                    val mean = moved.indices.sumOf { chances[it] * moved[it] }
                    DoubleArray(labels) { chances[it] * (moved[it] - mean) }
                }
            }
            for (place in product.indices) product[place] += penalty[place] * direction[place]
            val length = square / product.indices.sumOf { direction[it] * product[it] }
            for (place in step.indices) {
                step[place] += length * direction[place]
                residual[place] -= length * product[place]
            }
            val before = square
            square = residual.indices.sumOf { residual[it] * residual[it] / curvature[it] }
            if (square <= target) return step
            for (place in step.indices) direction[place] = residual[place] / curvature[place] + square / before * direction[place]
        }
        return step
    }

    /** The diagonal of the Hessian, as if every feature had the same weight of every row. */
    private fun curvature(probabilities: Array<DoubleArray?>, penalty: DoubleArray): DoubleArray {
        val spread = DoubleArray(labels)
        var ofScale = 0.0
        for ((row, chances) in probabilities.withIndex()) {
            if (chances == null) continue
            val given = scores[row]
            val mean = chances.indices.sumOf { chances[it] * given[it] }
            for (label in 0 until labels) {
                spread[label] += chances[label] * (1 - chances[label])
                ofScale += chances[label] * (given[label] - mean) * (given[label] - mean)
            }
        }
        return DoubleArray(penalty.size) {
            val own = when {
                it < labels * width -> spread[it / width] * squares[it % width] / rows
                it < penalty.size - 1 -> spread[it - labels * width]
                else -> ofScale
            }
            own + penalty[it]
        }
    }

    /** Of each row that is learnt; null for the others. */
    private fun probabilities(learnt: BooleanArray, parameters: DoubleArray) = Array(rows) { row ->
        if (learnt[row]) logSoftmax(scoresOf(row, parameters)).also { for (label in it.indices) it[label] = exp(it[label]) } else null
    }

    private fun objective(learnt: BooleanArray, penalty: DoubleArray, centre: DoubleArray, parameters: DoubleArray): Double {
        var total = 0.0
        for (row in 0 until rows) if (learnt[row]) total -= logSoftmax(scoresOf(row, parameters))[truth[row]]
        for (place in penalty.indices) total += penalty[place] * (parameters[place] - centre[place]).pow(2) / 2
        return total
    }

    /** The slope by each score of a row, or null -> the slope by each parameter. */
    private inline fun transposed(ofRow: (Int) -> DoubleArray?): DoubleArray {
        val sum = DoubleArray(labels * (width + 1) + 1)
        check()
        for (row in 0 until rows) {
            val slopes = ofRow(row) ?: continue
            val values = features[row]
            for (label in 0 until labels) {
                val slope = slopes[label]
                val first = label * width
                for (place in 0 until width) sum[first + place] += slope * values[place]
                sum[labels * width + label] += slope
                sum[sum.size - 1] += slope * scores[row][label]
            }
        }
        return sum
    }

    private fun product(values: DoubleArray, parameters: DoubleArray, first: Int): Double {
        var sum = 0.0
        for (place in values.indices) sum += values[place] * parameters[first + place]
        return sum
    }

    companion object {
        private const val TETHER = 1e-3
        private const val NEWTON_STEPS = 60
        private const val INNER_STEPS = 100
        private const val HALVINGS = 30
        private const val TOLERANCE = 1e-9
        private const val DECREASE = 1e-4
        private const val LOOSE = 0.25

        /** [scores] as log-probabilities. */
        fun logSoftmax(scores: DoubleArray): DoubleArray {
            val largest = scores.max()
            val total = ln(scores.sumOf { exp(it - largest) })
            return DoubleArray(scores.size) { scores[it] - largest - total }
        }
    }
}
