package org.seedtune.engine.bundle

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
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

/** Where each target's B lies in the flat state of [parameters] (a multiple of 32) float32 values. */
@Serializable
data class StateLayout(
    val parameters: Int,
    val rank: Int,
    @SerialName("adapter_seed") val adapterSeed: Long,
    val targets: List<Target>,
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

/** The whole `manifest.json`; see docs/reference/bundle.md. */
@Serializable
data class Manifest(
    @SerialName("format_version") val formatVersion: Int,
    @SerialName("seedtune_version") val seedtuneVersion: String,
    val objective: Objective,
    val storage: String,
    val state: StateLayout,
    val files: Map<String, FileEntry>,
    val check: CheckResult? = null,
) {
    /** The objective as what every bundle of this version has; a further kind ends this property, and shows its users what they lean on. */
    val languageModel: LanguageModel get() = when (objective) {
        is LanguageModel -> objective
    }

    companion object {
        internal const val FILE = "manifest.json"
        internal const val FORMAT_VERSION = 5
        private const val REMEDY = "export the bundle again"

        /**
         * Parses and checks a manifest.
         *
         * @throws SeedTuneException no JSON, a format of another version, an objective of an unknown kind, a missing or unknown
         * field, or a state layout that does not add up.
         */
        internal fun parse(text: String, path: String): Manifest {
            val fields = read(path) { Json.parseToJsonElement(text).jsonObject }
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
            val manifest = read(path) { Json.decodeFromString(serializer(), text) }
            checkLayout(manifest.state, path)
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

        private fun <T> read(path: String, parse: () -> T): T =
            try {
                parse()
            } catch (error: SerializationException) {
                throw SeedTuneException("the manifest does not follow its format (${error.message})", path, remedy = REMEDY, cause = error)
            } catch (error: IllegalArgumentException) {
                throw SeedTuneException("the manifest cannot be read (${error.message})", path, remedy = REMEDY, cause = error)
            }

        private fun checkLayout(layout: StateLayout, path: String) {
            var end = 0L
            for (target in layout.targets) {
                val size = target.outFeatures.toLong() * target.rank
                if (target.offset < end || target.offset % Noise.BITS_PER_WORD != 0 || size <= 0) {
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
            if (layout.parameters % Noise.BITS_PER_WORD != 0 || end > layout.parameters || layout.targets.isEmpty()) {
                throw SeedTuneException("the state layout does not fit its size", path, layout.parameters, "at least $end", REMEDY)
            }
        }
    }
}
