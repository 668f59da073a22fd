package org.seedtune.engine.start

import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow
import kotlin.math.sqrt
import org.seedtune.engine.noise.Noise

/**
 * The closed form that a run starts from, as `linear_probe.py`, which says it in full.
 *
 * @property values W, b and s as a head has them in the state.
 * @property strength the L2 penalty a row that was chosen.
 * @property rows learnt from.
 * @property accuracy by cross-validation.
 * @property loss by cross-validation.
 * @property lossBefore of the untouched model on the same rows.
 */
internal class LinearProbe private constructor(
    val values: FloatArray, val strength: Double, val rows: Int, val accuracy: Double, val loss: Double, val lossBefore: Double,
) {
    companion object {
        private const val FOLDS = 5
        private const val RISES = 3
        private const val LEAST_DEVIATION = 1e-6
        private const val SMALLEST_SQUARE = 1e-9
        private val STRENGTHS = listOf(1e4) + (0..12).map { 10.0.pow(2 - it / 2.0) }

        /** Values of hidden states that are learnt from, at most. */
        const val MOST_VALUES = 1L shl 21

        /** The label, of [count], that fewer than two of [labels] are, so that nothing can be learnt; or null. */
        fun tooFew(labels: IntArray, count: Int): Int? {
            val counts = IntArray(count).also { for (label in labels) it[label]++ }
            return counts.indices.minByOrNull { counts[it] }?.takeIf { counts[it] < 2 }
        }

        /** The places of the rows to learn from: all, or as many of each label as [mostValues] values of [features] a row are. */
        fun chosenRows(labels: IntArray, features: Int, seed: Long, mostValues: Long = MOST_VALUES): IntArray {
            val most = max(mostValues / features, 2L * ((labels.maxOrNull() ?: 0) + 1)).toInt()
            if (labels.size <= most) return labels.indices.toList().toIntArray()
            val order = Noise.permutation(Noise.deriveSeed(seed, "start_rows"), labels.size)
            val rank = IntArray(labels.size)
            for (members in order.groupBy { labels[it] }.values) {
                members.forEachIndexed { place, row -> rank[row] = (place.toLong() * labels.size / members.size).toInt() }
            }
            val sorted = labels.indices.sortedWith(compareBy({ rank[it] }, { labels[it] }))
            return sorted.take(most).sorted().toIntArray()
        }

        /**
         * The probe with the strength of least loss by stratified cross-validation.
         *
         * @param hidden what the language-model head of the untouched model reads, a row an example.
         * @param logProbabilities of the labels by the untouched model, likewise.
         * @param labels of the examples; see [tooFew].
         * @param seed of the run; decides the folds.
         * @param check called often; ends the work by throwing.
         */
        fun solve(hidden: List<FloatArray>, logProbabilities: List<FloatArray>, labels: IntArray, seed: Long, check: () -> Unit = {}): LinearProbe {
            val scores = Array(labels.size) { row ->
                val mean = logProbabilities[row].sumOf { it.toDouble() } / logProbabilities[row].size
                DoubleArray(logProbabilities[row].size) { logProbabilities[row][it] - mean }
            }
            val axes = Axes.of(hidden, check)
            val model = Logistic(axes.features, scores, labels, axes.squares, check)
            val folds = folds(labels, seed)
            val starts = Array(folds.max() + 1) { model.untouched() }
            val found = ArrayList<Found>()
            for (strength in STRENGTHS) {
                found += validated(model, labels, folds, starts, strength)
                val best = found.indexOf(found.minWith(FEWEST))
                if (found.size - 1 - best >= RISES) break
            }
            val best = found.minWith(FEWEST)
            var parameters = model.untouched()
            val all = BooleanArray(labels.size) { true }
            for (strength in STRENGTHS.filter { it >= best.strength }) parameters = model.fit(all, strength * labels.size, parameters)
            val before = labels.indices.sumOf { -Logistic.logSoftmax(scores[it])[labels[it]] } / labels.size
            return LinearProbe(axes.foldedBack(parameters, model.labels), best.strength, labels.size, best.accuracy, best.loss, before)
        }

        private class Found(val loss: Double, val strength: Double, val accuracy: Double)

        private val FEWEST = compareBy<Found>({ it.loss }, { it.strength })

        private fun validated(model: Logistic, labels: IntArray, folds: IntArray, starts: Array<DoubleArray>, strength: Double): Found {
            var loss = 0.0
            var right = 0
            for (fold in starts.indices) {
                val learnt = BooleanArray(labels.size) { folds[it] != fold }
                starts[fold] = model.fit(learnt, strength * learnt.count { it }, starts[fold])
                for (row in labels.indices.filter { !learnt[it] }) {
                    val scores = model.scoresOf(row, starts[fold])
                    loss -= Logistic.logSoftmax(scores)[labels[row]]
                    if (scores.indices.maxByOrNull { scores[it] } == labels[row]) right++
                }
            }
            return Found(loss / labels.size, strength, right.toDouble() / labels.size)
        }

        private fun folds(labels: IntArray, seed: Long): IntArray {
            val order = Noise.permutation(Noise.deriveSeed(seed, "start_folds"), labels.size)
            val counts = labels.groupBy { it }.values.minOf { it.size }
            val count = min(FOLDS, counts)
            val folds = IntArray(labels.size)
            var begin = 0
            for (label in labels.distinct().sorted()) {
                val members = order.filter { labels[it] == label }
                members.forEachIndexed { place, row -> folds[row] = (begin + place) % count }
                begin += members.size
            }
            return folds
        }
    }

    /** Hidden states at unit length, standardised and turned to their principal axes. */
    private class Axes(
        val features: Array<DoubleArray>, val squares: DoubleArray, private val axes: List<DoubleArray>, private val centre: DoubleArray,
    ) {
        /** [parameters] over axes -> W, b and s over hidden states at unit length. */
        fun foldedBack(parameters: DoubleArray, labels: Int): FloatArray {
            val width = centre.size
            val values = FloatArray(labels * (width + 1) + 1)
            val bias = DoubleArray(labels)
            for (label in 0 until labels) {
                val weight = DoubleArray(width)
                axes.forEachIndexed { place, axis ->
                    val factor = parameters[label * axes.size + place]
                    for (feature in 0 until width) weight[feature] += factor * axis[feature]
                }
                bias[label] = parameters[labels * axes.size + label] - weight.indices.sumOf { weight[it] * centre[it] }
                for (feature in 0 until width) values[label * width + feature] = weight[feature].toFloat()
            }
            for (label in 0 until labels) values[labels * width + label] = (bias[label] - bias.average()).toFloat()
            values[values.size - 1] = (parameters.last() - 1).toFloat()
            return values
        }

        companion object {
            fun of(hidden: List<FloatArray>, check: () -> Unit): Axes {
                val width = hidden[0].size
                val unit = Array(hidden.size) { row ->
                    val length = max(sqrt(hidden[row].sumOf { it.toDouble() * it }), 1e-12)
                    DoubleArray(width) { hidden[row][it] / length }
                }
                val centre = DoubleArray(width) { feature -> unit.sumOf { it[feature] } / unit.size }
                for (row in unit) for (feature in 0 until width) row[feature] -= centre[feature]
                val inverse = DoubleArray(width) { feature ->
                    val deviation = sqrt(unit.sumOf { it[feature] * it[feature] } / unit.size)
                    if (deviation > LEAST_DEVIATION) 1 / deviation else 0.0
                }
                for (row in unit) for (feature in 0 until width) row[feature] *= inverse[feature]
                val few = unit.size < width
                val eigen = Eigen(if (few) outer(unit, check) else inner(unit, width, check), check)
                val largest = max(eigen.values.max(), Double.MIN_VALUE)
                val used = eigen.values.indices.filter { eigen.values[it] > SMALLEST_SQUARE * largest }
                val squares = DoubleArray(used.size) { eigen.values[used[it]] }
                val axes = used.mapIndexed { place, index -> if (few) over(unit, eigen.vectors[index], sqrt(squares[place])) else eigen.vectors[index] }
                val features = Array(unit.size) { row -> DoubleArray(axes.size) { dot(unit[row], axes[it]) } }
                for (axis in axes) for (feature in 0 until width) axis[feature] *= inverse[feature]
                return Axes(features, squares, axes, centre)
            }

            private fun inner(unit: Array<DoubleArray>, width: Int, check: () -> Unit): Array<DoubleArray> {
                val gram = Array(width) { DoubleArray(width) }
                for (row in unit) {
                    check()
                    for (one in 0 until width) {
                        val value = row[one]
                        val sums = gram[one]
                        for (other in 0 until width) sums[other] += value * row[other]
                    }
                }
                return gram
            }

            private fun outer(unit: Array<DoubleArray>, check: () -> Unit) = Array(unit.size) { one ->
                check()
                DoubleArray(unit.size) { dot(unit[one], unit[it]) }
            }

            private fun over(unit: Array<DoubleArray>, weights: DoubleArray, length: Double): DoubleArray {
                val axis = DoubleArray(unit[0].size)
                for (row in unit.indices) for (feature in axis.indices) axis[feature] += weights[row] * unit[row][feature] / length
                return axis
            }

            private fun dot(one: DoubleArray, other: DoubleArray): Double {
                var sum = 0.0
                for (place in one.indices) sum += one[place] * other[place]
                return sum
            }
        }
    }
}
