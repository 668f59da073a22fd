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
 * @param pool for the rows of all batches in flight, where stages that may take them at once do ([Stage.together]); null where they
 * do not.
 * @param tokensInFlight tokens of one side of all batches that go through the stages together. Weights are read once for them;
 * what passes from stage to stage is held for all of them.
 */
internal class StagedGraph(
    folder: File,
    private val stages: List<Stage>,
    private val weights: StreamedWeights,
    private val layers: LayerBuffer,
    private val tokensInFlight: Int,
    private val pool: PagePool?,
    threads: Int,
    interruption: Interruption?,
) : Graph {
    private val sessions = stages.map { it.graph }.distinct().associateWith { GraphSession(File(folder, it), threads, arena = false, interruption) }
    private val lastUse = HashMap<String, Int>().apply { stages.forEachIndexed { number, stage -> stage.values.values.forEach { put(it, number) } } }

    /** Whether a stage runs once for all rows; of the first one only the sizes are made once more for them. */
    private val runsOnce = stages.mapIndexed { number, stage -> number > 0 && stage.together.isNotEmpty() }

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
        val batches = group.map { it.batch }
        val together = pool?.takeIf { runsOnce.any { it } && Together.possible(batches) }?.let { Together(batches, it) }
        try {
            layers.read(layersOf(group)).use { ahead ->
                weights.pass(stages.map { it.weights.values.toSet() }) { number, bytes ->
                    val stage = stages[number]
                    val readLast = stage.values.values.distinct().filter { lastUse[it] == number && it !in outputs }
                    if (together != null && stage.together.isNotEmpty()) runTogether(stage, group, together, shared, bytes)
                    group.forEachIndexed { place, held ->
                        if (together == null || !runsOnce[number]) {
                            val layered = if (stage.layerInputs.isEmpty()) emptyMap() else ahead.next()
                            runStage(stage, held, outputs, shared, layered, bytes) { feeds, key, name ->
                                checkNotNull(together).lendPart(feeds, key, name, place)
                            }
                            // The thread reads on while stages without contexts run.
                            ahead.release()
                            together?.done()
                        }
                        for (name in readLast) held.values.remove(name)?.close()
                    }
                    for (name in readLast) together?.drop(name)
                }
            }
            group.forEachIndexed { place, held ->
                for (name in outputs) if (name !in held.values) held.values[name] = checkNotNull(together).partOf(name, place)
                use(held.batch, outputs.associateWith { held.values.getValue(it) })
            }
        } finally {
            together?.close()
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

    /** Runs [stage] once for the rows of all of [group]. */
    private fun runTogether(stage: Stage, group: List<Held>, together: Together, shared: Map<String, OnnxTensor>, bytes: Map<String, ByteBuffer>) {
        Feeds().use { feeds ->
            for ((key, name) in stage.values) {
                feeds.lend(key, shared[name] ?: together.whole(name) { group.map { it.values[name] ?: it.batch.feeds.tensors.getValue(name) } })
            }
            together.lendNoLayers(feeds, stage)
            for ((name, value) in made(stage, feeds, bytes)) if (name in stage.together) together.keep(name, value) else value.close()
        }
        together.done()
    }

    private fun runStage(
        stage: Stage,
        held: Held,
        outputs: Set<String>,
        shared: Map<String, OnnxTensor>,
        layered: Map<String, ByteBuffer>,
        bytes: Map<String, ByteBuffer>,
        lendPart: (feeds: Feeds, key: String, name: String) -> Unit,
    ) {
        Feeds().use { feeds ->
            for ((key, name) in stage.values) {
                val known = held.values[name] ?: held.batch.feeds.tensors[name] ?: shared[name]
                if (known != null) feeds.lend(key, known) else lendPart(feeds, key, name)
            }
            for ((key, place) in stage.layerInputs) {
                val input = held.batch.layered.getValue(place.first)
                feeds.raw(key, layered.getValue(key), input.type, *input.shape)
            }
            for ((name, value) in made(stage, feeds, bytes)) {
                if (name in outputs || name in lastUse) held.values.put(name, value)?.close() else value.close()
            }
        }
    }

    /** What [stage] makes of [feeds], to which its numbers and weights are added; each value is closed by itself. */
    private fun made(stage: Stage, feeds: Feeds, bytes: Map<String, ByteBuffer>): List<Pair<String, OnnxTensor>> {
        for ((key, numbers) in stage.numbers) feeds.numbers(key, numbers.values.toLongArray(), *numbers.shape.toIntArray())
        for ((key, name) in stage.weights) {
            val tensor = weights.tensors.getValue(name)
            feeds.raw(key, bytes.getValue(name), tensor.type, *IntArray(tensor.shape.size) { tensor.shape[it].toInt() })
        }
        val found = sessions.getValue(stage.graph).run(feeds.tensors, stage.outputs.keys)
        return stage.outputs.map { (key, name) -> name to found.get(key).get() as OnnxTensor }
    }

    override fun close() {
        sessions.values.forEach(GraphSession::close)
        pool?.close()
    }
}
