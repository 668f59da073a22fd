package org.seedtune.app

import java.io.File
import java.io.IOException

/**
 * The processors of a phone by how fast they are. Each part of a product of matrices waits for the slowest one that has a share of it,
 * so the slowest cluster is left out where the others are at least half of all.
 *
 * @property clusters processors of each speed, the fastest first; empty where the phone does not tell.
 * @property count of all.
 */
class Processors(val clusters: List<Int>, val count: Int) {
    /** Those that are faster than the slowest. */
    private val fast: Int get() = clusters.dropLast(1).sum()

    /** Numbers of threads that could be best, the likeliest first; one where there is no doubt. */
    val candidates: List<Int>
        get() = when {
            count <= 2 || clusters.size == 1 -> listOf(count)
            clusters.isEmpty() -> listOf(count / 2, count)
            2 * fast >= count -> listOf(fast)
            else -> listOf(maxOf(2, fast), count)
        }

    companion object {
        /** Of this phone; [root] as `/sys/devices/system/cpu`. */
        fun read(root: File = File("/sys/devices/system/cpu"), count: Int = Runtime.getRuntime().availableProcessors()): Processors {
            val names = root.list { _, name -> NAME.matches(name) }.orEmpty()
            val speeds = names.map { speed(File(root, "$it/cpufreq/cpuinfo_max_freq")) ?: return Processors(emptyList(), count) }
            val clusters = speeds.groupBy { it }.toSortedMap(reverseOrder()).values.map { it.size }
            return Processors(clusters, if (clusters.isEmpty()) count else clusters.sum())
        }

        private fun speed(file: File): Long? =
            try {
                file.readText().trim().toLongOrNull()
            } catch (_: IOException) {
                null
            }

        private val NAME = Regex("cpu[0-9]+")
    }
}
