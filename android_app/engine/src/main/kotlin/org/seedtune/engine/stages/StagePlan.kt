package org.seedtune.engine.stages

import ai.onnxruntime.OnnxJavaType
import java.io.File
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.HostFiles
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8

/** Where a tensor of the weights file lives while stages run. */
@Serializable
internal enum class Role {
    /** A matrix, read when its stage runs. */
    @SerialName("streamed")
    STREAMED,

    /** A table, of which rows are looked up. */
    @SerialName("mapped")
    MAPPED,

    /** Small, read once. */
    @SerialName("resident")
    RESIDENT,
}

private const val MOST_BYTES = 1e15

/** An int64 constant that differs between stages of one stage graph. */
@Serializable
internal data class Numbers(val shape: List<Int>, val values: List<Long>) {
    /** Whether there are as many values as the shape has places. */
    val fills: Boolean get() = shape.all { it >= 0 } && shape.fold(1L) { product, size -> Math.multiplyExact(product, size.toLong()) } == values.size.toLong()
}

/**
 * A part of a graph with the matrices that it reads.
 *
 * @property graph the file of the stage graph.
 * @property values input of the stage graph -> input of the whole graph, or value of an earlier stage.
 * @property layers input -> [input of the whole graph with layers as its first axis, layer].
 * @property weights input -> tensor of the weights file.
 * @property numbers input -> its values.
 * @property outputs output of the stage graph -> name of the value, which may be an output of the whole graph.
 * @property together of these values, those that may be made for the rows of all calls at once: all of them, or none, or of the first
 * stage those that follow from how many rows there are.
 */
@Serializable
internal data class Stage(
    val graph: String,
    val values: Map<String, String>,
    val layers: Map<String, JsonArray>,
    val weights: Map<String, String>,
    val numbers: Map<String, Numbers>,
    val outputs: Map<String, String>,
    val together: List<String> = emptyList(),
) {
    /** Input -> (input of the whole graph, layer). */
    val layerInputs: Map<String, Pair<String, Int>>
        get() = layers.mapValues { (_, place) ->
            require(place.size == 2) { "a layer is a name and a number: $place" }
            place[0].jsonPrimitive.content to place[1].jsonPrimitive.int
        }
}

/** Bytes of B rows of T tokens with contexts of P tokens: fixed + B (T token + T^2 pair + T P reach + P context). */
@Serializable
internal data class BatchBytes(val fixed: Double, val token: Double, val pair: Double, val reach: Double, val context: Double) {
    /** Whether every factor is one of bytes; the bound is a guess, far above any. */
    val isSize: Boolean get() = listOf(fixed, token, pair, reach, context).all { it in 0.0..MOST_BYTES }

    fun of(rows: Int, tokens: Int, contextTokens: Int = 0): Long {
        val ofRow = tokens * token + tokens.toLong() * tokens * pair
        return (fixed + rows * ofRow).toLong() + ofContexts(rows, tokens, contextTokens)
    }

    /** What of this is there for the contexts. */
    fun ofContexts(rows: Int, tokens: Int, contextTokens: Int): Long =
        (rows * (tokens.toLong() * contextTokens * reach + contextTokens * context)).toLong()
}

/** What a batch takes: [held] between stages, and [running] on top while the most demanding stage runs. */
@Serializable
internal data class GraphMemory(val held: BatchBytes, val running: BatchBytes)

/** All stages of a bundle: what `stages.json` holds (docs/reference/bundle.md). */
@Serializable
internal data class StagePlan(
    val graphs: Map<String, List<Stage>>,
    val roles: Map<String, Role>,
    val memory: Map<String, GraphMemory>,
    val packed: List<String> = emptyList(),
) {
    /** The streamed tensors in the order in which a pass reads them. */
    val streamed: List<String> by lazy { withRole(Role.STREAMED) }

    /** The tensors that stay in memory. */
    val resident: List<String> by lazy { withRole(Role.RESIDENT) }

    /** The plan of the other graphs than [graph], and of the tensors that they read. */
    fun without(graph: String): StagePlan {
        val others = graphs - graph
        val read = others.values.flatten().flatMapTo(HashSet()) { it.weights.values }
        return StagePlan(others, roles.filterKeys { it in read }, memory - graph, packed.filter { it in read })
    }

    private fun withRole(role: Role): List<String> =
        graphs.values.flatten().flatMap { it.weights.values }.distinct().filter { roles[it] == role }

    companion object {
        const val FILE = "stages.json"

        /** What a step runs: one of them in a run. */
        const val PROBE = "probe"
        const val GRADIENT = "gradient"
        private val LAYERED = setOf("keys", "values", "key_scales", "value_scales")

        /**
         * Reads and checks a plan.
         *
         * @throws SeedTuneException it does not follow its format, or its stages do not fit together.
         */
        fun read(file: File): StagePlan {
            val raw = readPlainFile(file, "the stages", REMEDY)
            return reading(file.path, "the stages cannot be read", REMEDY) {
                Json.decodeFromJsonElement(serializer(), parsed(utf8(raw))).also(::check)
            }
        }

        private fun check(plan: StagePlan) {
            val unknown = ArrayList<String>(plan.packed.filterNot { it in plan.roles })
            for (stage in plan.graphs.values.flatten()) {
                unknown += stage.weights.values.filterNot { it in plan.roles }
                unknown += stage.layerInputs.values.filterNot { (name, layer) -> name in LAYERED && layer >= 0 }.map { it.first }
                unknown += stage.numbers.filterNot { (_, numbers) -> numbers.fills }.keys
                if ('/' in stage.graph) unknown += stage.graph
            }
            unknown += (plan.graphs.keys - plan.memory.keys) + (plan.memory.keys - plan.graphs.keys)
            unknown += plan.graphs.filterValues { it.isEmpty() }.keys
            unknown += plan.memory.filterNot { (_, memory) -> memory.held.isSize && memory.running.isSize }.keys
            if (unknown.isEmpty()) return
            throw SeedTuneException(
                "the stages do not fit together",
                value = unknown.first(),
                rule = "stage graphs beside stages.json, tensors that the plan lists, numbers that fill their shape, and stages and memory of each graph",
            )
        }

        /**
         * The plan of the graphs of [bundle] that are here, and the tensors of its weights.
         *
         * @throws SeedTuneException as [read] and [Tensors.read], or they are not those of this bundle.
         */
        fun of(bundle: Bundle): Pair<StagePlan, Map<String, Tensor>> {
            val file = File(bundle.folder, FILE)
            val whole = read(file)
            val context = bundle.manifest.languageModel.context
            val wanted = setOf(PROBE, "eval") + (if (context == null) emptySet() else setOf("context"))
            // Bundles of an earlier day have a gradient graph without stages.
            val optional = if ("$GRADIENT.onnx" in bundle.manifest.files) setOf(GRADIENT) else emptySet()
            val layers = whole.graphs.values.flatten().flatMap { it.layerInputs.values }
            val strange = whole.graphs.values.flatten().map { it.graph }.filterNot { it in bundle.manifest.files } + (whole.graphs.keys - wanted - optional) + (wanted - whole.graphs.keys) +
                layers.filter { (_, layer) -> layer >= (context?.layers ?: 0) }.map { (name, layer) -> "$name $layer" }
            if (strange.isNotEmpty()) {
                throw SeedTuneException("the stages are not those of this bundle", file.path, strange.first(), "stages of $wanted", REMEDY)
            }
            val plan = if (bundle.computesContexts) whole else whole.without(HostFiles.CONTEXT)
            val tensors = bundle.weights.fold(emptyMap<String, Tensor>()) { found, weights -> found + Tensors.read(weights) }
            val weights = bundle.weights.last()
            val missing = plan.roles.keys - tensors.keys
            if (missing.isNotEmpty()) {
                throw SeedTuneException("the weights lack tensors that the stages read", weights.path, missing.first(), remedy = REMEDY)
            }
            val unpacked = plan.packed.filter { tensors.getValue(it).run { type != OnnxJavaType.UINT8 || shape.isEmpty() } }
            if (unpacked.isNotEmpty()) {
                throw SeedTuneException("a tensor is to hold two values a byte", weights.path, unpacked.first(), "of bytes", REMEDY)
            }
            return plan to tensors
        }

        private const val REMEDY = "export the bundle again, or copy it again"
    }
}
