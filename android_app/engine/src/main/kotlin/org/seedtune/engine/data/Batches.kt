package org.seedtune.engine.data

import org.seedtune.engine.task.Encoded

/** A tokenised, labelled row. */
internal class Example(val ids: LongArray, val position: Int, val label: Int, val suffix: IntArray?, val targets: LongArray?) {
    constructor(encoded: Encoded, label: Int) : this(encoded.ids, encoded.position, label, encoded.suffix, encoded.targets)
}

/** A rectangle of numbers [rows, columns], row by row. */
internal class Grid(val values: LongArray, val rows: Int, val columns: Int)

/**
 * Splits items into groups of similar sizes, smallest first, each item exactly once.
 *
 * A group of B items costs `B * (largest size)` in each dimension, at most the limit of that dimension. An item beyond a limit
 * goes alone. Equal sizes keep their order, so the split depends on the sizes only.
 *
 * @param sizes per item, a size in each dimension.
 * @param limits per dimension.
 */
internal fun grouped(sizes: List<IntArray>, limits: IntArray): List<IntArray> {
    require(limits.all { it >= 1 }) { "limits must be positive: ${limits.toList()}" }
    val order = sizes.indices.sortedWith { a, b -> compare(sizes[a], sizes[b]) }
    val groups = ArrayList<IntArray>()
    var chosen = IntArrayList()
    var largest = IntArray(limits.size)
    for (place in order) {
        var grown = IntArray(limits.size) { maxOf(largest[it], sizes[place][it]) }
        if (chosen.size > 0 && limits.indices.any { (chosen.size + 1L) * grown[it] > limits[it] }) {
            groups += chosen.toArray()
            chosen = IntArrayList()
            grown = sizes[place]
        }
        chosen.add(place)
        largest = grown
    }
    if (chosen.size > 0) groups += chosen.toArray()
    return groups
}

/** [rows] filled up on the right with [filler], and the mask (1 = value). */
internal fun padded(rows: List<LongArray>, filler: Long): Pair<Grid, Grid> {
    val longest = rows.maxOfOrNull { it.size } ?: 0
    val values = LongArray(rows.size * longest) { filler }
    val mask = LongArray(rows.size * longest)
    rows.forEachIndexed { place, row ->
        row.copyInto(values, place * longest)
        mask.fill(1, place * longest, place * longest + row.size)
    }
    return Grid(values, rows.size, longest) to Grid(mask, rows.size, longest)
}

private fun compare(a: IntArray, b: IntArray): Int {
    for (dimension in a.indices) if (a[dimension] != b[dimension]) return a[dimension].compareTo(b[dimension])
    return 0
}

private class IntArrayList {
    private val values = ArrayList<Int>()
    val size: Int get() = values.size

    fun add(value: Int) {
        values += value
    }

    fun toArray(): IntArray = values.toIntArray()
}
