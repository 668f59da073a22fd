package org.seedtune.engine.data

import org.seedtune.engine.noise.Noise

/** Which rows a step sees: a pure function of the run seed and the step's number. */
internal interface Sampling {
    /** Rows of a step that have a loss. */
    val batchSize: Int

    /** The rows of step [step] (from 0); the same whatever was asked before. */
    fun indices(step: Int): IntArray
}

/**
 * Walks through fresh permutations of the examples, one an epoch, without gaps between epochs: a pure function of the run
 * seed and the step's number. Epoch e is `permutation(deriveSeed(seed, "sampler", e), examples)`; step s takes places
 * s * batchSize until (s + 1) * batchSize of all epochs laid end to end.
 */
internal class Sampler(private val seed: Long, private val examples: Int, override val batchSize: Int) : Sampling {
    private var epoch = -1L
    private var order = IntArray(0)

    init {
        require(examples >= 1 && batchSize >= 1) { "examples and batchSize must be positive: $examples, $batchSize" }
    }

    override fun indices(step: Int): IntArray {
        require(step >= 0) { "step < 0: $step" }
        val first = step.toLong() * batchSize
        return IntArray(batchSize) {
            val place = first + it
            permutationOf(place / examples)[(place % examples).toInt()]
        }
    }

    private fun permutationOf(wanted: Long): IntArray {
        if (wanted != epoch) {
            epoch = wanted
            order = Noise.permutation(Noise.deriveSeed(seed, "sampler", wanted), examples)
        }
        return order
    }
}
