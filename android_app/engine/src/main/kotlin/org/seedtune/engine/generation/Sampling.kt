package org.seedtune.engine.generation

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.noise.Noise

/**
 * How the next token is chosen; docs/reference/generation.md specifies it, so that a seed gives the same tokens here and in Python.
 *
 * @property temperature 0 for the likeliest token, always; 1 for the model's own probabilities.
 * @property topP the share of probability, above 0 and up to 1, that the tokens to draw from have together (nucleus sampling: Holtzman
 * et al. 2020, arXiv 1904.09751, section 3.1).
 * @property seed 0 to 2^32 - 1; of no effect at temperature 0.
 */
data class Sampling(val temperature: Double = 0.0, val topP: Double = 1.0, val seed: Long = 0) {
    /** @throws SeedTuneException a value is out of its range. */
    internal fun check() {
        require(temperature.isFinite() && temperature >= 0, "temperature", temperature, "0 or more")
        require(topP > 0 && topP <= 1, "top_p", topP, "above 0 and up to 1")
        require(seed in 0..Noise.WORD_MASK, "seed", seed, "0 to ${Noise.WORD_MASK}")
    }

    /** The token that follows, for [logits] [V]; [place] counts the tokens that were chosen before. */
    internal fun choose(logits: FloatArray, place: Int): Int {
        val likeliest = likeliest(logits)
        if (temperature == 0.0) return likeliest
        val shares = probabilities(logits)
        val word = Noise.words(Noise.deriveSeed(seed, PURPOSE, place.toLong()), 1)[0].toLong() and Noise.WORD_MASK
        val drawn = (word + 0.5) / WORDS
        var sum = 0.0
        for (index in shares.indices) {
            sum += shares[index]
            if (sum > drawn) return index
        }
        // Sums of shares may end below 1 by rounding.
        return shares.indices.last { shares[it] > 0 }
    }

    /** The probability of each token to be drawn, [V], for [logits] [V]; the temperature is above 0. */
    internal fun probabilities(logits: FloatArray): DoubleArray {
        val most = logits[likeliest(logits)].toDouble()
        // The one exponential that has the same bits on every JVM and on Android.
        val shares = DoubleArray(logits.size) { StrictMath.exp((logits[it] - most) / temperature) }
        divide(shares)
        if (topP < 1) {
            cut(shares)
            divide(shares)
        }
        return shares
    }

    /** The first of the greatest. */
    private fun likeliest(logits: FloatArray): Int {
        var best = 0
        for (index in logits.indices) if (logits[index] > logits[best]) best = index
        if (logits[best].isFinite() && logits.none { it.isNaN() }) return best
        throw SeedTuneException(
            "what the model says of the next token is not finite",
            value = logits[best],
            rule = "finite logits",
            remedy = "take an earlier state, or tune with a lower learning rate",
        )
    }

    private fun divide(shares: DoubleArray) {
        // From the first to the last: another order would have other last bits.
        var sum = 0.0
        for (share in shares) sum += share
        for (index in shares.indices) shares[index] /= sum
    }

    /** Leaves the likeliest tokens before which less than [topP] stands; of equally likely ones the first. */
    private fun cut(shares: DoubleArray) {
        val ascending = shares.copyOf().apply { sort() }
        var kept = 0
        var before = 0.0
        while (kept < shares.size && before < topP) before += ascending[shares.size - 1 - kept++]
        val least = ascending[shares.size - kept]
        var equals = kept - shares.count { it > least }
        for (index in shares.indices) {
            val stays = shares[index] > least || (shares[index] == least && equals-- > 0)
            if (!stays) shares[index] = 0.0
        }
    }

    private fun require(holds: Boolean, name: String, value: Any, rule: String) {
        if (!holds) throw SeedTuneException("$name is out of range", value = value, rule = rule, remedy = "change it")
    }
}

private const val PURPOSE = "generate"
private const val WORDS = 4_294_967_296.0
