package org.seedtune.engine

import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Work
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.State
import org.seedtune.engine.graph.Update
import org.seedtune.engine.noise.Noise

/** The update graph, said plainly and slowly: each probe adds c or -c to every value of every group, and rounds once. */
internal val plainUpdate = Update { state, seeds, coefficients ->
    val values = state.values
    seeds.forEachIndexed { probe, seed ->
        val signs = Noise.rademacher(seed, state.parameters)
        for (group in 0 until state.groups) {
            for (place in 0 until state.parameters) {
                val at = group * state.parameters + place
                values.put(at, values.get(at) + coefficients[probe * state.groups + group] * signs[place])
            }
        }
    }
}

/** A copy of the values [G, n]. */
internal fun State.copied() = FloatArray(values.capacity()).also { values.get(it) }

/** The exception that [action] ends with. */
fun refused(action: () -> Unit): SeedTuneException = org.junit.Assert.assertThrows(SeedTuneException::class.java) { action() }

/** Rows that are nothing but a place, two a batch, the last ones first. */
internal class Places(override val size: Int) : Feeder {
    override val unit = "places"

    override fun batches(indices: IntArray, limit: Int): Sequence<Batch> =
        indices.indices.reversed().chunked(limit).asSequence().map { Batch(Feeds(), it.toIntArray(), Work(3, 1, 5, 2)) }
}
