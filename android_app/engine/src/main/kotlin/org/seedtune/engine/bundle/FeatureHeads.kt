package org.seedtune.engine.bundle

import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.JsonClassDiscriminator
import kotlinx.serialization.json.JsonObject
import org.seedtune.engine.SeedTuneException

/** What heads over features learn by, named by the key "kind" of `objective.loss`. */
@OptIn(ExperimentalSerializationApi::class)
@Serializable
@JsonClassDiscriminator(Objective.KIND)
sealed interface HeadLoss

/**
 * Rows are drawn to their positives and pushed from [negatives] others, by the cosines of their embeddings.
 *
 * @property temperature by which cosines are divided.
 * @property collisionFix a negative weighs less the more alike its input features and the anchor's are.
 * @property imbalanceFix negatives are drawn cluster by cluster, each as often, rather than row by row.
 */
@Serializable
@SerialName("contrastive")
data class Contrastive(
    val temperature: Double,
    val negatives: Int,
    @SerialName("collision_fix") val collisionFix: Boolean = true,
    @SerialName("imbalance_fix") val imbalanceFix: Boolean = true,
) : HeadLoss

/** Heads that read [robustFeatures], [nonRobustFeatures], and both. */
@Serializable
@SerialName("heads")
data class RobustHeads(
    @SerialName("robust_features") val robustFeatures: Int,
    @SerialName("non_robust_features") val nonRobustFeatures: Int,
    @SerialName("adversarial_weight") val adversarialWeight: Double = 1.0,
    @SerialName("target_weight") val targetWeight: Double = 1.0,
) : HeadLoss

/**
 * Heads over features, which lie in the bundle as [ROWS]; there is no text.
 *
 * @property source the file of the features, as it was called.
 * @property rows N.
 * @property features d, of a row.
 * @property classes C; 0 where no row has a label.
 * @property form of the trained change: "full", "low-rank" or "diagonal".
 * @property provenance what the maker of the features says of them.
 */
@Serializable
@SerialName(FeatureHeads.KIND)
data class FeatureHeads(
    val loss: HeadLoss,
    val source: String,
    val rows: Int,
    val features: Int,
    val classes: Int,
    val form: String = "full",
    val provenance: JsonObject = JsonObject(emptyMap()),
) : Objective {
    override val files: Set<String> get() = setOf("probe.onnx", "eval.onnx", "update.onnx", ROWS)
    override val optionalFiles: Set<String> get() = emptySet()

    /** The word of the loss. */
    internal val name: String get() = if (loss is Contrastive) "contrastive" else "heads"

    /** What it is, in a few words. */
    internal val summary: String get() = "$name over ${"%,d".format(java.util.Locale.ROOT, rows)} rows of $features features"

    /** @throws SeedTuneException this cannot be. */
    internal fun check() {
        requireWithin("rows", rows.toDouble(), 1.0, MOST)
        requireWithin("features", features.toDouble(), 1.0, MOST)
        requireWithin("classes", classes.toDouble(), if (loss is RobustHeads) 2.0 else 0.0, rows.toDouble())
        if (form !in FORMS) throw SeedTuneException("the form is not one that this version knows", value = form, rule = FORMS.joinToString())
        when (loss) {
            is Contrastive -> {
                requireWithin("loss.temperature", loss.temperature, 0.03, 100.0)
                requireWithin("loss.negatives", loss.negatives.toDouble(), 1.0, MOST)
            }
            is RobustHeads -> {
                requireWithin("loss.robust_features", loss.robustFeatures.toDouble(), 1.0, features - 1.0)
                requireWithin("loss.non_robust_features", loss.nonRobustFeatures.toDouble(), 1.0, (features - loss.robustFeatures).toDouble())
                requireWithin("loss.adversarial_weight", loss.adversarialWeight, 0.0, 1000.0)
                requireWithin("loss.target_weight", loss.targetWeight, 0.0, 1000.0)
            }
        }
    }

    private fun requireWithin(name: String, value: Double, least: Double, most: Double) {
        if (value !in least..most) throw SeedTuneException("$name is out of range", value = value, rule = "$least to $most")
    }

    internal companion object {
        internal const val KIND = "head"
        internal const val ROWS = "rows.safetensors"
        private const val MOST = Int.MAX_VALUE.toDouble()
        private val FORMS = listOf("full", "low-rank", "diagonal")
    }
}
