package org.seedtune.engine.tuning

import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.probeSeed

/** What one step did; [step] counts from 1, times are milliseconds. */
class StepEvent(
    val step: Int,
    val estimate: Estimate,
    val coefficient: Float,
    val learningRate: Double,
    val rows: Int,
    val tokens: Int,
    val paddingTokens: Int,
    val prefixTokens: Int,
    val prefixPaddingTokens: Int,
    val encodeMs: Double,
    val probeMs: Double,
    val journalMs: Double,
    val updateMs: Double,
)

/**
 * The tuning loop: rows -> batch -> two losses -> coefficient -> journal -> state. Knows nothing of files, screens or devices.
 *
 * @param record puts a step into the journal, durably; the state changes after it has returned.
 * @param tokensPerCall tokens of one side that a call of the graph may have; bounds memory.
 */
internal class Tuner(
    private val estimator: TwoSided,
    private val optimizer: Normalised,
    private val sampler: Sampler,
    private val feeder: Feeder,
    private val state: State,
    private val record: (Record) -> Unit,
    private val runSeed: Long,
    private val tokensPerCall: Int,
) {
    /**
     * Makes step [step] (from 0).
     *
     * @throws SeedTuneException a loss is not finite; the state and the journal end with the step before.
     */
    fun step(step: Int): StepEvent {
        val clock = Clock()
        val indices = sampler.indices(step)
        val counts = Counts()
        val batches = sequence {
            val each = feeder.batches(indices, tokensPerCall).iterator()
            while (true) {
                val making = Clock()
                val batch = if (each.hasNext()) each.next() else null
                counts.encodeMs += making.lap()
                if (batch == null) break
                counts.tokens += batch.tokens
                counts.paddingTokens += batch.paddingTokens
                counts.prefixTokens += batch.prefixTokens
                counts.prefixPaddingTokens += batch.prefixPaddingTokens
                yield(batch)
            }
        }
        val seed = probeSeed(runSeed, step)
        val estimate = estimator.measure(state, seed, batches, indices.size)
        val probeMs = clock.lap() - counts.encodeMs
        requireFinite(estimate, step)
        val coefficient = optimizer.coefficient(step, estimate.projectedGradient)
        record(Record(coefficient, estimate.lossPlus, estimate.lossMinus))
        val journalMs = clock.lap()
        state.apply(longArrayOf(seed), floatArrayOf(coefficient))
        return StepEvent(
            step + 1,
            estimate,
            coefficient,
            optimizer.rate(step),
            2 * counts.tokens,
            counts.tokens - counts.paddingTokens,
            counts.paddingTokens,
            counts.prefixTokens - counts.prefixPaddingTokens,
            counts.prefixPaddingTokens,
            counts.encodeMs,
            probeMs,
            journalMs,
            clock.lap(),
        )
    }

    private fun requireFinite(estimate: Estimate, step: Int) {
        if (estimate.lossPlus.isFinite() && estimate.lossMinus.isFinite()) return
        throw SeedTuneException(
            "the loss of step ${step + 1} is not finite; the run stopped before it, nothing of it was recorded",
            value = "${estimate.lossPlus} / ${estimate.lossMinus} at learning rate ${optimizer.rate(step)}",
            rule = "both losses of a step are finite",
            remedy = "start a new run with a smaller learning rate (a tenth, say); the state before this step is kept",
        )
    }

    private class Counts {
        var tokens = 0
        var paddingTokens = 0
        var prefixTokens = 0
        var prefixPaddingTokens = 0
        var encodeMs = 0.0
    }

    /** Milliseconds since the last lap. */
    private class Clock {
        private var last = System.nanoTime()

        fun lap(): Double {
            val now = System.nanoTime()
            val passed = (now - last) / 1e6
            last = now
            return passed
        }
    }
}
