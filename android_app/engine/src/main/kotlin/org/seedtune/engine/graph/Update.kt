package org.seedtune.engine.graph

import java.io.Closeable
import java.io.File

/** Adds noise to states. */
internal fun interface Update : Closeable {
    /** `state <- fl(state + c_k z_k)` for each probe k in order: [seeds] of the noise [K], [coefficients] [K, G]. */
    fun add(state: State, seeds: LongArray, coefficients: FloatArray)

    override fun close() = Unit
}

/** The update graph of a bundle: that of a model, or one with a state for each group, which has one more axis. */
internal class UpdateGraph(file: File) : Update {
    private val session = GraphSession(file, 1)

    override fun add(state: State, seeds: LongArray, coefficients: FloatArray) {
        for (first in seeds.indices step PROBES_PER_CALL) {
            val probes = minOf(PROBES_PER_CALL, seeds.size - first)
            val ofGroups = if (state.stacked) intArrayOf(state.groups) else intArrayOf()
            Feeds().use { feeds ->
                feeds.lend("state", state.tensor)
                feeds.numbers("seeds", seeds.copyOfRange(first, first + probes), probes)
                feeds.floats("coefficients", coefficients.copyOfRange(first * state.groups, (first + probes) * state.groups), probes, *ofGroups)
                session.run(feeds.tensors, emptySet(), mapOf("state_out" to state.tensor)).close()
            }
        }
    }

    override fun close() = session.close()

    private companion object {
        /** Probes per call, whose noise words are made at once. */
        const val PROBES_PER_CALL = 32
    }
}
