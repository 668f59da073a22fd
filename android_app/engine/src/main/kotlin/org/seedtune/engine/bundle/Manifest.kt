package org.seedtune.engine.bundle

import java.io.File
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.noise.Noise
import org.seedtune.engine.task.Task

/** A linear layer that carries trainable state: B [outFeatures, rank] at [offset] of the flat state. */
@Serializable
data class Target(
    val name: String,
    @SerialName("lora_a") val loraA: String,
    val offset: Int,
    @SerialName("out_features") val outFeatures: Int,
    @SerialName("in_features") val inFeatures: Int,
    val rank: Int,
)

/**
 * A linear layer over the hidden state, beside the language-model head: from [offset] of the flat state on W [labels, features],
 * b [labels], s [1]. Scores are `(1 + s) lm + W u + b` with lm those of the language-model head, u the hidden state at unit length.
 */
@Serializable
data class Head(val offset: Int, val labels: Int, val features: Int) {
    /** Values of the state that it takes. */
    internal val parameters: Long get() = labels * (features + 1L) + 1
}

/** Where each target's B lies in the flat state of [parameters] (a multiple of 32) float32 values, and behind them the head. */
@Serializable
data class StateLayout(
    val parameters: Int,
    val rank: Int,
    @SerialName("adapter_seed") val adapterSeed: Long,
    val targets: List<Target>,
    val head: Head? = null,
)

/** Size and SHA-256 of one file of the bundle. */
@Serializable
data class FileEntry(@SerialName("size_bytes") val sizeBytes: Long, val sha256: String)

/** What the export measured against transformers. */
@Serializable
data class CheckResult(
    val rows: Int,
    @SerialName("log_probability_error") val logProbabilityError: Double,
    @SerialName("perturbed_loss_error") val perturbedLossError: Double,
    val allowed: Double,
)

/**
 * The whole `manifest.json`; see docs/reference/bundle.md.
 *
 * @property hostFiles those of [files] that only the computing of contexts reads, and that a device with a cache may lack.
 */
@Serializable
data class Manifest(
    @SerialName("format_version") val formatVersion: Int,
    @SerialName("seedtune_version") val seedtuneVersion: String,
    val objective: Objective,
    val storage: String,
    val state: StateLayout,
    val files: Map<String, FileEntry>,
    @SerialName("host_files") val hostFiles: List<String> = emptyList(),
    val check: CheckResult? = null,
) {
    /**
     * The objective of a bundle that is about text, for whatever is.
     *
     * @throws SeedTuneException it is another one.
     */
    val languageModel: LanguageModel get() = when (objective) {
        is LanguageModel -> objective
        is FeatureHeads -> throw SeedTuneException(
            "this bundle has heads over features, and no text",
            value = objective.summary,
            rule = "a bundle of a language model",
            remedy = "tune it where it was made, with: seedtune run BUNDLE",
        )
    }

    companion object {
        internal const val FILE = "manifest.json"
        internal const val FORMAT_VERSION = 6
        private const val REMEDY = "export the bundle again"
        private const val MAX_CONTEXT_DIMENSION = 1L shl 16
        private const val MAX_SIZE = Int.MAX_VALUE.toLong()
        private val STORAGES = setOf("fp32", "fp16", "bf16", "int8", "int4")
        private val CONTEXT_STORAGES = setOf("fp32", "fp16", "int8")
        private val FAMILIES = setOf("causal", "masked")

        /**
         * The manifest of the bundle in [folder], whose other files are not looked at.
         *
         * @throws SeedTuneException there is none, or as [SeedTune.open].
         */
        fun read(folder: File): Manifest {
            val file = File(folder, FILE)
            val raw = readPlainFile(file, "the manifest", REMEDY)
            return parse(reading(file.path, "the manifest is no text", REMEDY) { utf8(raw) }, file.path)
        }

        /**
         * Parses and checks a manifest.
         *
         * @throws SeedTuneException no JSON, a format of another version, an objective of an unknown kind, a missing or unknown
         * field, or a state layout that does not add up.
         */
        internal fun parse(text: String, path: String): Manifest {
            val fields = read(path) { parsed(text).jsonObject }
            val version = read(path) { fields["format_version"]?.jsonPrimitive?.int }
            if (version != FORMAT_VERSION) {
                throw SeedTuneException(
                    "the bundle has a format that this version does not read",
                    path,
                    version,
                    "format_version $FORMAT_VERSION",
                    if (version != null && version > FORMAT_VERSION) "update the app" else "export the bundle again with this version",
                )
            }
            checkKind(read(path) { fields["objective"]?.jsonObject?.get(Objective.KIND)?.jsonPrimitive?.content }, path)
            val manifest = read(path) { Json.decodeFromJsonElement(serializer(), fields) }
            checkLayout(manifest.state, (manifest.objective as? LanguageModel)?.labelWordIds.orEmpty().size, path)
            reading(path, "the manifest cannot be used", REMEDY) { check(manifest) }
            return manifest
        }

        private fun checkKind(kind: String?, path: String) {
            if (kind in Objective.KINDS) return
            throw SeedTuneException(
                "the bundle has an objective of a kind that this version does not know",
                path,
                "objective.${Objective.KIND} = $kind",
                Objective.KINDS.joinToString(),
                "update the app, or export the bundle again with this version",
            )
        }

        private fun <T> read(path: String, parse: () -> T): T = reading(path, "the manifest does not follow its format", REMEDY, parse)

        private fun check(manifest: Manifest) {
            requireOneOf("storage", manifest.storage, STORAGES)
            requireWithin("adapter_seed", manifest.state.adapterSeed, 0, Noise.WORD_MASK)
            when (manifest.objective) {
                is LanguageModel -> check(manifest.objective)
                is FeatureHeads -> manifest.objective.check()
            }
        }

        private fun check(objective: LanguageModel) {
            val (model, task, labelWordIds, scope, context) = objective
            requireOneOf("family", model.family, FAMILIES)
            requireWithin("hidden_size", model.hiddenSize.toLong(), 1, MAX_SIZE)
            requireWithin("vocabulary_size", model.vocabularySize.toLong(), 1, MAX_SIZE)
            requireWithin("max_positions", model.maxPositions.toLong(), 1, MAX_SIZE)
            requireWithin("padding_id", model.paddingId, 0, model.vocabularySize - 1L)
            requireWithin("max_tokens", task.maxTokens.toLong(), 1, model.maxPositions.toLong())
            labelWordIds.forEach { requireWithin("label_word_ids", it.toLong(), 0, model.vocabularySize - 1L) }
            task.check()
            objective.decode?.let { check(it, model) }
            requireOneOf("scope", scope, if (context == null) setOf("all") else setOf("suffix", "last"))
            if (context == null) return
            requireOneOf("context storage", context.storage, CONTEXT_STORAGES)
            for (size in listOf(context.layers, context.keyHeads, context.headSize)) {
                requireWithin("a size of the context", size.toLong(), 1, MAX_CONTEXT_DIMENSION)
            }
            requireWithin("entering", context.entering.toLong(), 0, MAX_CONTEXT_DIMENSION)
            val values = Math.multiplyExact(Math.multiplyExact(2 * context.layers, context.keyHeads), context.headSize)
            Math.multiplyExact(values, Float.SIZE_BYTES)
        }

        private fun check(decode: Decoding, model: Model) {
            requireOneOf("the family of a model that generates text", model.family, setOf("causal"))
            for ((name, size) in listOf("layers" to decode.layers, "key_heads" to decode.keyHeads, "head_size" to decode.headSize)) {
                requireWithin("decode.$name", size.toLong(), 1, MAX_CONTEXT_DIMENSION)
            }
            requireWithin("decode.max_tokens", decode.maxTokens.toLong(), 1, MAX_SIZE)
            decode.endIds.forEach { requireWithin("decode.end_ids", it.toLong(), 0, model.vocabularySize - 1L) }
        }

        private fun requireOneOf(name: String, value: String, known: Set<String>) {
            if (value !in known) throw SeedTuneException("$name is not one that this version knows", value = value, rule = known.joinToString())
        }

        private fun requireWithin(name: String, value: Long, least: Long, most: Long) {
            if (value !in least..most) throw SeedTuneException("$name is out of range", value = value, rule = "$least to $most")
        }

        private fun checkLayout(layout: StateLayout, labels: Int, path: String) {
            var end = 0L
            for (target in layout.targets) {
                val size = target.outFeatures.toLong() * target.rank
                val positive = target.outFeatures > 0 && target.inFeatures > 0 && target.rank > 0
                if (target.offset < end || target.offset % Noise.BITS_PER_WORD != 0 || !positive) {
                    throw SeedTuneException(
                        "the state layout is inconsistent at target ${target.name}",
                        path,
                        target.offset,
                        "offsets are multiples of ${Noise.BITS_PER_WORD}, in order, without overlap",
                        REMEDY,
                    )
                }
                end = target.offset + size
            }
            layout.head?.let { end = endOfHead(it, end, labels, path) }
            // What is larger than its targets need would only be memory.
            val fits = layout.parameters in end until end + Noise.BITS_PER_WORD
            if (layout.parameters % Noise.BITS_PER_WORD != 0 || !fits || layout.targets.isEmpty()) {
                throw SeedTuneException(
                    "the state layout does not fit its size", path, layout.parameters, "at least $end, and no more than that takes", REMEDY,
                )
            }
        }

        private fun endOfHead(head: Head, end: Long, labels: Int, path: String): Long {
            val fits = head.offset in end until end + Noise.BITS_PER_WORD && head.offset % Noise.BITS_PER_WORD == 0
            if (!fits || labels == 0 || head.labels != labels || head.features < 1) {
                throw SeedTuneException(
                    "the state layout is inconsistent at its head",
                    path,
                    "${head.labels} labels of ${head.features} features at ${head.offset}",
                    "one row for each of $labels labels, right behind the targets at a multiple of ${Noise.BITS_PER_WORD}",
                    REMEDY,
                )
            }
            return head.offset + head.parameters
        }
    }
}
