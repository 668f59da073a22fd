package org.seedtune.engine.tuning.estimator

import java.io.Closeable
import kotlin.math.sqrt
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.RecordKind
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.tuning.optimizer.AdamWSettings

/** Settings of [Gradient]: there are none. */
data object GradientSettings : EstimatorSettings() {
    internal const val KIND = "gradient"

    // A gradient tells of every parameter, so few rows a step are enough.
    private const val BATCH_SIZE = 16

    override val kind: String get() = KIND
    override val graph: String get() = StagePlan.GRADIENT

    /** Sums in float64, the gradient and a copy of it; or twice what is being kept. */
    override val vectors: Int get() = 6
    override val probes: Int get() = 1
    override val record: RecordKind get() = RecordKind.GRADIENT
    override val optimizers: List<String> get() = listOf(AdamWSettings.KIND)
    override val batchSize: Int get() = BATCH_SIZE

    /** The estimator over the gradient graph that [graphs] opens; the caller closes it. */
    internal fun build(graphs: Graphs) = Gradient(graphs.open(graph))

    override fun values(): Map<String, JsonPrimitive> = emptyMap()

    override fun check() = Unit
}

/**
 * What one step measured.
 *
 * @property loss mean loss of the rows at the state, in nats.
 * @property gradient of that mean [n].
 */
internal class Descent(val loss: Double, val gradient: FloatArray) {
    /** Euclidean; squares are added in float64, one after the other. */
    val norm: Double get() = sqrt(gradient.fold(0.0) { sum, value -> sum + value.toDouble() * value })
}

/**
 * The exact gradient of the mean loss, from the gradient graph: for a reach whose activations fit into memory.
 *
 *     gradient = (1 / rows) sum over rows of d loss / d state
 *
 * The graph returns sums over the rows of a call; they are added in float64 in the order of the calls, as losses are in the order of
 * the rows within them, so how rows were split changes no more than the rounding of kernels.
 */
internal class Gradient(private val graph: Graph) : Closeable by graph {
    /** Over all rows of [batches], at [state]; at least one row. */
    fun measure(state: State, batches: Sequence<Batch>): Descent {
        val total = DoubleArray(state.parameters)
        var loss = 0.0
        var rows = 0
        graph.run(setOf("loss", "gradient"), batches, mapOf("state" to state.tensor)) { batch, found ->
            val losses = found.getValue("loss").floatBuffer
            repeat(batch.index.size) { loss += losses.get() }
            val ofCall = found.getValue("gradient").floatBuffer
            for (place in total.indices) total[place] += ofCall.get(place).toDouble()
            rows += batch.index.size
        }
        return Descent(loss / rows, FloatArray(total.size) { (total[it] / rows).toFloat() })
    }
}
