package org.seedtune.engine.stages

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.context.contextPlaces
import org.seedtune.engine.context.readIds
import org.seedtune.engine.context.readsContextAlone
import org.seedtune.engine.data.Example
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.graph.MappedGraph

/** The graphs of [bundle], each in one session over mapped weights. */
internal class MappedGraphs(
    private val bundle: Bundle, private val threads: Int, private val interruption: Interruption? = null,
) : Graphs {
    override fun open(name: String): Graph = MappedGraph(bundle.graph(name), threads, interruption)

    override fun close() = Unit
}

/** The graphs of [bundle] within a memory limit: one reader of the weights, shared by all of them. */
internal class StreamedGraphs private constructor(
    private val bundle: Bundle,
    private val plan: StagePlan,
    tensors: Map<String, Tensor>,
    val choice: MemoryChoice,
    private val threads: Int,
    private val platform: Platform,
    private val interruption: Interruption?,
) : Graphs {
    private val weights = StreamedWeights(tensors, plan.roles, choice.bufferBytes, choice.kept.toSet(), platform)
    private val layers = LayerBuffer(choice.layerBufferBytes, platform)

    override val contextTokensPerCall: Int get() = choice.contextTokensPerCall
    override val tokensPerContextCall: Int get() = choice.tokensPerContextCall

    override fun open(name: String): Graph {
        bundle.requireGraph(name)
        val inFlight = when (name) {
            StagePlan.PROBE, StagePlan.GRADIENT -> choice.tokensInFlight
            "eval" -> 2 * choice.tokensInFlight
            else -> choice.tokensPerContextCall
        }
        val pool = if (choice.together) PagePool(platform) else null
        return StagedGraph(bundle.folder, plan.graphs.getValue(name), weights, layers, inFlight, pool, threads, interruption)
    }

    override fun close() {
        layers.close()
        weights.close()
    }

    companion object {
        /** The heap may grow by so much more; what it holds at most beyond that is for the user of the engine to bound. */
        private const val HEAP_GROWTH_BYTES = 32L shl 20

        /**
         * Graphs that keep to [limitBytes]; call it when all else that takes memory is there.
         *
         * @param examples all rows they will be used with.
         * @param examplesAtOnce how many of them are computed before the weights change.
         * @param cached whether the contexts of rows are read from a file.
         * @param tokensPerCall of one side of a probe, where it was chosen before.
         * @param stepGraph which graph a step runs, [StagePlan.PROBE] or [StagePlan.GRADIENT]; the other one is not opened.
         * @param vectors as long as the state, that estimator and optimizer will keep beside it.
         * @throws SeedTuneException the limit is too small, or the gradient graph has no stages.
         */
        fun within(
            limitBytes: Long,
            bundle: Bundle,
            examples: List<Example>,
            examplesAtOnce: Int,
            cached: Boolean,
            tokensPerCall: Int?,
            threads: Int,
            platform: Platform,
            stepGraph: String,
            vectors: Int,
            interruption: Interruption? = null,
        ): StreamedGraphs {
            val (whole, tensors) = StagePlan.of(bundle)
            if (stepGraph !in whole.graphs) {
                throw SeedTuneException(
                    "the bundle's $stepGraph graph has no stages",
                    bundle.folder.path,
                    rule = "a bundle of a version that cuts it into stages, for a run within a memory limit",
                    remedy = "export the bundle again, or leave the limit out",
                )
            }
            val plan = whole.without(if (stepGraph == StagePlan.GRADIENT) StagePlan.PROBE else StagePlan.GRADIENT)
            // Encoding the rows leaves garbage behind, which would count as held.
            System.gc()
            val runtime = Runtime.getRuntime()
            val growth = minOf(runtime.maxMemory() - runtime.totalMemory(), HEAP_GROWTH_BYTES)
            val kept = vectors * Float.SIZE_BYTES.toLong() * bundle.manifest.state.parameters
            val held = platform.heldBytes() + growth + kept
            val limit = MemoryLimit(plan, tensors, shapeOf(bundle, examples, examplesAtOnce, cached || !bundle.computesContexts), held)
            return StreamedGraphs(bundle, plan, tensors, limit.choose(limitBytes, tokensPerCall), threads, platform, interruption)
        }

        /** What memory depends on. */
        fun shapeOf(bundle: Bundle, examples: List<Example>, examplesAtOnce: Int, cached: Boolean): Shape {
            val manifest = bundle.manifest
            val parameters = manifest.state.parameters
            val layout = manifest.languageModel.context
            if (layout == null) {
                val longest = examples.maxOf { it.ids.size }
                return Shape(longest, 0, 0, examplesAtOnce * longest, parameters, computedContexts = !cached)
            }
            val alone = readsContextAlone(manifest.languageModel)
            val longest = examples.maxOf { it.suffix?.size ?: 0 }
            val context = examples.maxOf { contextPlaces(it).size }
            val read = if (bundle.computesContexts) examples.maxOf { readIds(it, alone).size } else 0
            val ofLayer = maxOf(1, context).toLong() * layout.bytesPerToken / layout.layers
            return Shape(longest, context, read, examplesAtOnce * longest, parameters, layout.bytesOf(context.toLong(), longest.toLong()), !cached, ofLayer)
        }
    }
}
