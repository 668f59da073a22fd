package org.seedtune.engine.stages

import java.io.File
import java.io.IOException
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException

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

/** An int64 constant that differs between stages of one stage graph. */
@Serializable
internal data class Numbers(val shape: List<Int>, val values: List<Long>)

/**
 * A part of a graph with the matrices that it reads.
 *
 * @property graph the file of the stage graph.
 * @property values input of the stage graph -> input of the whole graph, or value of an earlier stage.
 * @property layers input -> [input of the whole graph with layers as its first axis, layer].
 * @property weights input -> tensor of the weights file.
 * @property numbers input -> its values.
 * @property outputs output of the stage graph -> name of the value, which may be an output of the whole graph.
 */
@Serializable
internal data class Stage(
    val graph: String,
    val values: Map<String, String>,
    val layers: Map<String, JsonArray>,
    val weights: Map<String, String>,
    val numbers: Map<String, Numbers>,
    val outputs: Map<String, String>,
) {
    /** Input -> (input of the whole graph, layer). */
    val layerInputs: Map<String, Pair<String, Int>>
        get() = layers.mapValues { (_, place) -> place[0].jsonPrimitive.content to place[1].jsonPrimitive.int }
}

/** Bytes of B rows of T tokens with prefixes of P tokens: fixed + B (T token + T^2 pair + T P reach + P prefix). */
@Serializable
internal data class BatchBytes(val fixed: Double, val token: Double, val pair: Double, val reach: Double, val prefix: Double) {
    fun of(rows: Int, tokens: Int, prefixTokens: Int = 0): Long {
        val ofRow = tokens * token + tokens.toLong() * tokens * pair + tokens.toLong() * prefixTokens * reach + prefixTokens * prefix
        return (fixed + rows * ofRow).toLong()
    }
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

    private fun withRole(role: Role): List<String> =
        graphs.values.flatten().flatMap { it.weights.values }.distinct().filter { roles[it] == role }

    companion object {
        const val FILE = "stages.json"
        private val LAYERED = setOf("keys", "values", "key_scales", "value_scales")

        /**
         * Reads and checks a plan.
         *
         * @throws SeedTuneException it does not follow its format, or its stages do not fit together.
         */
        fun read(file: File): StagePlan {
            val plan = try {
                Json.decodeFromString(serializer(), file.readText())
            } catch (error: SerializationException) {
                throw SeedTuneException("the stages cannot be read (${error.message})", file.path, remedy = REMEDY, cause = error)
            } catch (error: IOException) {
                throw SeedTuneException("the stages cannot be read (${error.message})", file.path, remedy = REMEDY, cause = error)
            }
            for (stage in plan.graphs.values.flatten()) {
                val unknown = stage.weights.values.filterNot { it in plan.roles } +
                    stage.layers.values.map { it[0].jsonPrimitive.content }.filterNot { it in LAYERED }
                if ('/' in stage.graph || unknown.isNotEmpty()) {
                    throw SeedTuneException(
                        "the stages do not fit together", file.path, unknown.firstOrNull() ?: stage.graph, "tensors that the plan lists", REMEDY,
                    )
                }
            }
            return plan
        }

        private const val REMEDY = "export the bundle again, or copy it again"
    }
}
