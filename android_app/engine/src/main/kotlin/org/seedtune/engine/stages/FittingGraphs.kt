package org.seedtune.engine.stages

import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Example
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.run.Settings

/** The graphs of [bundle] as its memory allows: mapped, or within [memoryLimitBytes] of everything that the process holds. */
internal class FittingGraphs(
    private val bundle: Bundle,
    private val threads: Int,
    val memoryLimitBytes: Long?,
    private val platform: Platform,
    val interruption: Interruption,
) {
    /** Whatever the limit; for bundles that have no weights to stream, and where there is none. */
    val mapped = MappedGraphs(bundle, threads, interruption)

    /**
     * For [examples], of which [atOnce] are computed before the weights change, by [settings]; the caller closes them.
     *
     * @param cached whether the contexts of rows are read from a file.
     * @param rowsPerCall token rows of a call where they were chosen before.
     */
    fun of(examples: List<Example>, atOnce: Int, cached: Boolean, rowsPerCall: Int?, settings: Settings): Graphs {
        val limit = memoryLimitBytes ?: return mapped
        val tokensPerCall = rowsPerCall?.let { maxOf(1, it / 2) }
        val (estimator, vectors) = settings.estimator to settings.estimator.vectors + settings.optimizer.vectors
        return StreamedGraphs.within(limit, bundle, examples, atOnce, cached, tokensPerCall, threads, platform, estimator.graph, vectors, interruption)
    }
}
