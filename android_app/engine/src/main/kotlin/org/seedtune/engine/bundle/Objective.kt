package org.seedtune.engine.bundle

import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonClassDiscriminator
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.task.Task

/**
 * What the graphs of a bundle compute a loss of: a closed union, named by the key "kind" of the manifest's `objective`. A manifest
 * that names another kind is refused.
 */
@OptIn(ExperimentalSerializationApi::class)
@Serializable
@JsonClassDiscriminator(Objective.KIND)
sealed interface Objective {
    /** The files that every bundle of this objective has, beside its manifest. */
    val files: Set<String>

    /** Those that it may have. */
    val optionalFiles: Set<String>

    companion object {
        internal const val KIND = "kind"

        /** Those that this version knows. */
        internal val KINDS = listOf(LanguageModel.KIND, FeatureHeads.KIND)
    }
}

/**
 * A language model that chooses label words or completes texts.
 *
 * @property labelWordIds the token of each label's word; empty in a completion task.
 * @property scope at which tokens the state acts: "suffix", those behind the text of a row, "last", the one that is scored, or "all".
 * @property context what is kept of the others; null for scope "all".
 * @property decode what generating text with `decode.onnx` needs to know; null where the bundle has no such graph.
 */
@Serializable
@SerialName(LanguageModel.KIND)
data class LanguageModel(
    val model: Model,
    val task: Task,
    @SerialName("label_word_ids") val labelWordIds: List<Int>,
    val scope: String = "all",
    val context: ContextLayout? = null,
    val decode: Decoding? = null,
) : Objective {
    override val files: Set<String>
        get() = setOf("probe.onnx", "eval.onnx", "update.onnx", Bundle.WEIGHTS, Bundle.TOKENIZER, StagePlan.FILE) +
            (if (context == null) emptySet() else setOf("context.onnx")) +
            (if (decode == null) emptySet() else setOf("decode.onnx"))
    override val optionalFiles: Set<String> get() = if (context == null) emptySet() else setOf("gradient.onnx")

    internal companion object {
        internal const val KIND = "language_model"
    }
}

/**
 * What generating text needs to know: keys and values of every layer, [maxTokens] of prompt and response together, the tokens that end
 * a response, and the model's own chat template (Jinja, which this engine does not run) with the texts that it names.
 */
@Serializable
data class Decoding(
    val layers: Int,
    @SerialName("key_heads") val keyHeads: Int,
    @SerialName("head_size") val headSize: Int,
    @SerialName("max_tokens") val maxTokens: Int,
    @SerialName("end_ids") val endIds: List<Int> = emptyList(),
    @SerialName("chat_template") val chatTemplate: String? = null,
    @SerialName("special_tokens") val specialTokens: Map<String, String> = emptyMap(),
)

/** What was exported, and what a tokenised row must keep to. */
@Serializable
data class Model(
    val source: String,
    val architecture: String,
    val family: String,
    val parameters: Long,
    @SerialName("hidden_size") val hiddenSize: Int,
    @SerialName("vocabulary_size") val vocabularySize: Int,
    @SerialName("max_positions") val maxPositions: Int,
    @SerialName("padding_id") val paddingId: Long,
    @SerialName("mask_token") val maskToken: String?,
    @SerialName("unknown_token") val unknownToken: String?,
    @SerialName("end_token") val endToken: String? = null,
)

/**
 * What is kept of a row of P tokens before those where the state acts, and S where it does: keys and values of the layers with state,
 * twice [layers, keyHeads, P, headSize], for int8 twice float16 scales, and where lower layers carry no state [S, entering] float32.
 *
 * @property entering width of the hidden states that enter the first layer with state; 0 where every layer carries state.
 */
@Serializable
data class ContextLayout(
    val layers: Int,
    @SerialName("key_heads") val keyHeads: Int,
    @SerialName("head_size") val headSize: Int,
    val storage: String,
    val entering: Int = 0,
) {
    /** Bytes of one token of a context. */
    val bytesPerToken: Int
        get() = 2 * layers * keyHeads * when (storage) {
            "fp32" -> 4 * headSize
            "fp16" -> 2 * headSize
            else -> headSize + 2
        }

    /** Bytes of what is kept of a token where the state acts. */
    val bytesPerSuffixToken: Int get() = Float.SIZE_BYTES * entering

    /** Bytes of what is kept of a row. */
    fun bytesOf(contextTokens: Long, suffixTokens: Long): Long = contextTokens * bytesPerToken + suffixTokens * bytesPerSuffixToken
}
