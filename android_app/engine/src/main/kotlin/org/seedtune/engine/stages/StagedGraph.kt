package org.seedtune.engine.stages

import ai.onnxruntime.OnnxTensor
import java.io.File
import java.nio.ByteBuffer
import org.seedtune.engine.data.Batch
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.Interruption

/**
 * [Graph] that runs stage by stage, with streamed weights: each stage for all batches in flight, then the next one.
 *
 * @param stages of the graph, in order.
 * @param weights shared by the graphs of a bundle; one of them runs at a time.
 * @param layers of cached contexts; likewise.
 * @param tokensInFlight tokens of one side of all batches that go through the stages together. Weights are read once for them;
 * what passes from stage to stage is held for all of them.
 */
internal class StagedGraph(
    folder: File,
    private val stages: List<Stage>,
    private val weights: StreamedWeights,
    private val layers: LayerBuffer,
    private val tokensInFlight: Int,
    threads: Int,
    interruption: Interruption?,
) : Graph {
    private val sessions = stages.map { it.graph }.distinct().associateWith { GraphSession(File(folder, it), threads, arena = false, interruption) }
    private val lastUse = HashMap<String, Int>().apply { stages.forEachIndexed { number, stage -> stage.values.values.forEach { put(it, number) } } }
    /** The values that a batch in flight holds. */
    private class Held(val batch: Batch) {
        val values = HashMap<String, OnnxTensor>()
    }

    override fun run(
        outputs: Set<String>,
        batches: Sequence<Batch>,
        shared: Map<String, OnnxTensor>,
        use: (Batch, Map<String, OnnxTensor>) -> Unit,
    ) {
        val group = ArrayList<Held>()
        for (batch in batches) {
            if (group.isNotEmpty() && group.sumOf { it.batch.work.computed } + batch.work.computed > tokensInFlight) runGroup(group, outputs, shared, use)
            group += Held(batch)
        }
        if (group.isNotEmpty()) runGroup(group, outputs, shared, use)
    }

    private fun runGroup(
        group: MutableList<Held>,
        outputs: Set<String>,
        shared: Map<String, OnnxTensor>,
        use: (Batch, Map<String, OnnxTensor>) -> Unit,
    ) {
        try {
            layers.read(layersOf(group)).use { ahead ->
                weights.pass(stages.map { it.weights.values.toSet() }) { number, bytes ->
                    for (held in group) {
                        val layered = if (stages[number].layerInputs.isEmpty()) emptyMap() else ahead.next()
                        runStage(number, held, outputs, shared, layered, bytes)
                    }
                }
            }
            for (held in group) {
                use(held.batch, outputs.associateWith { held.values.getValue(it) })
            }
        } finally {
            for (held in group) {
                held.values.values.forEach(OnnxTensor::close)
                held.batch.close()
            }
            group.clear()
        }
    }

    /** What the stages with layers of contexts read, batch by batch. */
    private fun layersOf(group: List<Held>): List<Map<String, WantedLayer>> =
        stages.filter { it.layerInputs.isNotEmpty() }.flatMap { stage ->
            group.map { held -> stage.layerInputs.mapValues { (_, place) -> WantedLayer(held.batch.layered.getValue(place.first), place.second) } }
        }

    private fun runStage(
        number: Int,
        held: Held,
        outputs: Set<String>,
        shared: Map<String, OnnxTensor>,
        layered: Map<String, ByteBuffer>,
        bytes: Map<String, ByteBuffer>,
    ) {
        val stage = stages[number]
        Feeds().use { feeds ->
            for ((key, name) in stage.values) {
                feeds.lend(key, held.values[name] ?: held.batch.feeds.tensors[name] ?: shared.getValue(name))
            }
            for ((key, place) in stage.layerInputs) {
                val input = held.batch.layered.getValue(place.first)
                feeds.raw(key, layered.getValue(key), input.type, *input.shape)
            }
            for ((key, numbers) in stage.numbers) feeds.numbers(key, numbers.values.toLongArray(), *numbers.shape.toIntArray())
            for ((key, name) in stage.weights) {
                val tensor = weights.tensors.getValue(name)
                feeds.raw(key, bytes.getValue(name), tensor.type, *IntArray(tensor.shape.size) { tensor.shape[it].toInt() })
            }
            // Each value is closed by itself, not with the result.
            val found = sessions.getValue(stage.graph).run(feeds.tensors, stage.outputs.keys)
            for ((key, name) in stage.outputs) {
                val value = found.get(key).get() as OnnxTensor
                if (name in outputs || name in lastUse) held.values.put(name, value)?.close() else value.close()
            }
        }
        for (name in stage.values.values.toSet()) {
            if (lastUse[name] == number && name !in outputs) held.values.remove(name)?.close()
        }
    }

    override fun close() = sessions.values.forEach(GraphSession::close)
}
