package org.seedtune.engine.start

import kotlin.math.abs
import kotlin.math.hypot
import kotlin.math.max
import kotlin.math.sqrt

/**
 * Eigenvalues and eigenvectors of a symmetric matrix, by Householder's reduction and the implicit QL method (Bowdler, Martin,
 * Reinsch and Wilkinson 1968; `tred2` and `tql2` of EISPACK), in no order.
 *
 * @param matrix [n, n], which is overwritten.
 * @param check called n times or more in each part; ends the work by throwing.
 */
internal class Eigen(matrix: Array<DoubleArray>, private val check: () -> Unit = {}) {
    private val n = matrix.size

    /** [n, n]: the eigenvector of each value, one a row. */
    val vectors: Array<DoubleArray> = matrix

    /** [n]. */
    val values = DoubleArray(n)
    private val beside = DoubleArray(n)

    init {
        reduce()
        accumulate()
        iterate()
    }

    /** To tridiagonal form: the diagonal in [values], what stands beside it in [beside]. Rows of [vectors] are columns of the textbook. */
    private fun reduce() {
        val (v, d, e) = Triple(vectors, values, beside)
        for (j in 0 until n) d[j] = v[j][n - 1]
        for (i in n - 1 downTo 1) {
            check()
            var scale = 0.0
            for (k in 0 until i) scale += abs(d[k])
            var h = 0.0
            if (scale == 0.0) {
                e[i] = d[i - 1]
                for (j in 0 until i) {
                    d[j] = v[j][i - 1]
                    v[j][i] = 0.0
                    v[i][j] = 0.0
                }
            } else {
                for (k in 0 until i) {
                    d[k] /= scale
                    h += d[k] * d[k]
                }
                val last = d[i - 1]
                val root = if (last > 0) -sqrt(h) else sqrt(h)
                e[i] = scale * root
                h -= last * root
                d[i - 1] = last - root
                reflect(i, h)
            }
            d[i] = h
        }
    }

    private fun reflect(i: Int, h: Double) {
        val (v, d, e) = Triple(vectors, values, beside)
        for (j in 0 until i) e[j] = 0.0
        for (j in 0 until i) {
            val column = v[j]
            val f = d[j]
            v[i][j] = f
            var g = e[j] + column[j] * f
            for (k in j + 1 until i) {
                g += column[k] * d[k]
                e[k] += column[k] * f
            }
            e[j] = g
        }
        var f = 0.0
        for (j in 0 until i) {
            e[j] /= h
            f += e[j] * d[j]
        }
        val half = f / (h + h)
        for (j in 0 until i) e[j] -= half * d[j]
        for (j in 0 until i) {
            val column = v[j]
            val (ofD, ofE) = d[j] to e[j]
            for (k in j until i) column[k] -= ofD * e[k] + ofE * d[k]
            d[j] = column[i - 1]
            column[i] = 0.0
        }
    }

    private fun accumulate() {
        val (v, d) = vectors to values
        for (i in 0 until n - 1) {
            check()
            v[i][n - 1] = v[i][i]
            v[i][i] = 1.0
            val next = v[i + 1]
            val h = d[i + 1]
            if (h != 0.0) {
                for (k in 0..i) d[k] = next[k] / h
                for (j in 0..i) {
                    val column = v[j]
                    var g = 0.0
                    for (k in 0..i) g += next[k] * column[k]
                    for (k in 0..i) column[k] -= g * d[k]
                }
            }
            for (k in 0..i) next[k] = 0.0
        }
        for (j in 0 until n) {
            d[j] = v[j][n - 1]
            v[j][n - 1] = 0.0
        }
        v[n - 1][n - 1] = 1.0
        beside[0] = 0.0
    }

    private fun iterate() {
        val (d, e) = values to beside
        for (i in 1 until n) e[i - 1] = e[i]
        e[n - 1] = 0.0
        var shifted = 0.0
        var largest = 0.0
        for (l in 0 until n) {
            check()
            largest = max(largest, abs(d[l]) + abs(e[l]))
            var m = l
            while (m < n && abs(e[m]) > EPSILON * largest) m++
            if (m > l) {
                do shifted += rotate(l, m) while (abs(e[l]) > EPSILON * largest)
            }
            d[l] += shifted
            e[l] = 0.0
        }
    }

    /** One QL sweep from [m] down to [l]; returns the shift. */
    private fun rotate(l: Int, m: Int): Double {
        val (v, d, e) = Triple(vectors, values, beside)
        var g = d[l]
        var p = (d[l + 1] - g) / (2.0 * e[l])
        var r = if (p < 0) -hypot(p, 1.0) else hypot(p, 1.0)
        d[l] = e[l] / (p + r)
        d[l + 1] = e[l] * (p + r)
        val next = d[l + 1]
        val shift = g - d[l]
        for (i in l + 2 until n) d[i] -= shift
        p = d[m]
        var (c, c2, c3) = Triple(1.0, 1.0, 1.0)
        val after = e[l + 1]
        var (s, s2) = 0.0 to 0.0
        for (i in m - 1 downTo l) {
            c3 = c2
            c2 = c
            s2 = s
            g = c * e[i]
            val h = c * p
            r = hypot(p, e[i])
            e[i + 1] = s * r
            s = e[i] / r
            c = p / r
            p = c * d[i] - s * g
            d[i + 1] = h + s * (c * g + s * d[i])
            val (one, other) = v[i] to v[i + 1]
            for (k in 0 until n) {
                val before = other[k]
                other[k] = s * one[k] + c * before
                one[k] = c * one[k] - s * before
            }
        }
        p = -s * s2 * c3 * after * e[l] / next
        e[l] = s * p
        d[l] = c * p
        return shift
    }

    private companion object {
        val EPSILON = Math.ulp(1.0)
    }
}
