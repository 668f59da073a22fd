package org.seedtune.engine.tuning.estimator

import ai.onnxruntime.OnnxTensor
import java.io.Closeable
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State
import org.seedtune.engine.tuning.Recorded

/**
 * Settings of the two-sided estimate.
 *
 * @property epsilon half the distance between the two sides of a probe.
 * @property objective what is lowered: "loss". Runs that lower another ("accuracy", "f1") are replayed, not made.
 */
data class TwoSidedSettings(val epsilon: Double = 1e-2, val objective: String = LOSS) : ProbeEstimatorSettings() {
    override val kind: String get() = KIND

    override val probes: Int get() = 1

    override fun build(graphs: Graphs): Estimator = TwoSided(graphs.open(graph), this)

    override fun requireMade() {
        if (objective != LOSS) throw notMadeHere("$WORD.objective", objective, "objective $LOSS")
    }

    override fun estimate(lossPlus: FloatArray, lossMinus: FloatArray, groups: Int): Estimate {
        val gradient = DoubleArray(lossPlus.size) { (lossPlus[it].toDouble() - lossMinus[it].toDouble()) / (2 * epsilon) }
        return Estimate(groups, lossPlus, lossMinus, gradient)
    }

    override fun values(): Map<String, JsonPrimitive> = 
        linkedMapOf("epsilon" to JsonPrimitive(epsilon), "objective" to JsonPrimitive(objective))

    override fun check() {
        checkEpsilon(epsilon)
        Recorded.require("$WORD.objective", objective, objective in OBJECTIVES, OBJECTIVES.joinToString())
    }

    internal companion object {
        internal const val KIND = "two_sided"
        private const val LOSS = "loss"
        private val OBJECTIVES = listOf(LOSS, "accuracy", "f1")

        fun of(recorded: Recorded) = TwoSidedSettings(recorded.double("epsilon"), recorded.text("objective", LOSS))
    }
}

/**
 * The two-sided estimate of a directional derivative: SPSA (Spall 1992), MeZO (arXiv 2305.17333), over the probe graph.
 *
 *     projected gradient  g = (L(state + epsilon z) - L(state - epsilon z)) / (2 epsilon),   z = +-1 from the seed
 *
 * L is the mean loss over the rows, or each row's own where there is a state a row. Losses of the rows are collected first and added
 * in float64 in the order of the rows, so how they were split into batches changes no more than the rounding of kernels.
 */
internal class TwoSided(private val graph: Graph, private val settings: TwoSidedSettings) : Estimator, Closeable by graph {
    override fun measure(state: State, seeds: LongArray, batches: Sequence<Batch>, rows: Int): Estimate {
        val grouped = state.groups > 1
        require(!grouped || rows == state.groups) { "$rows rows for ${state.groups} states" }
        val plus = FloatArray(rows)
        val minus = FloatArray(rows)
        Feeds().use { shared ->
            if (!grouped) shared.lend("state", state.tensor)
            shared.numbers("seed", longArrayOf(seeds.single()), 1)
            shared.floats("epsilon", floatArrayOf(settings.epsilon.toFloat()), 1)
            val fed = if (grouped) batches.onEach { it.feeds.floats("state", state.of(it.index), it.index.size, state.parameters) } else batches
            graph.run(setOf("loss_plus", "loss_minus"), fed, shared.tensors) { batch, found ->
                scatter(found.getValue("loss_plus"), batch.index, plus)
                scatter(found.getValue("loss_minus"), batch.index, minus)
            }
        }
        return if (grouped) settings.estimate(plus, minus, rows) else settings.estimate(mean(plus), mean(minus), 1)
    }

    private fun scatter(tensor: OnnxTensor, places: IntArray, into: FloatArray) {
        val values = tensor.floatBuffer
        for (place in places) into[place] = values.get()
    }

    private fun mean(values: FloatArray) = floatArrayOf((values.fold(0.0) { sum, value -> sum + value } / values.size).toFloat())
}
