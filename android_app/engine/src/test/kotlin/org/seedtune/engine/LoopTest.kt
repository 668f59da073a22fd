package org.seedtune.engine

import ai.onnxruntime.OnnxTensor
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.data.Work
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Record
import org.seedtune.engine.noise.Noise
import org.seedtune.engine.tuning.Tuner
import org.seedtune.engine.tuning.estimator.Estimate
import org.seedtune.engine.tuning.estimator.Estimator
import org.seedtune.engine.tuning.estimator.TwoSided
import org.seedtune.engine.tuning.estimator.TwoSidedSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings

/** The loop, and the estimator over a graph, with everything around them made of a few lines. */
class LoopTest {
    /** Losses that are told: those of probe k and group g at k * G + g. */
    private class Told(val plus: FloatArray, val minus: FloatArray) : Estimator {
        val seeds = ArrayList<Long>()

        override fun measure(state: State, seeds: LongArray, batches: Sequence<Batch>, rows: Int): Estimate {
            this.seeds += seeds.toList()
            assertEquals(rows, batches.sumOf { it.index.size })
            return TwoSidedSettings(0.5).estimate(plus, minus, state.groups)
        }

        override fun close() = Unit
    }

    /** The loss of a row is the sum of its state's values, plus its place, plus 1 at one side. */
    private object Sums : Graph {
        override fun run(
            outputs: Set<String>,
            batches: Sequence<Batch>,
            shared: Map<String, OnnxTensor>,
            use: (Batch, Map<String, OnnxTensor>) -> Unit,
        ) = batches.forEach { batch ->
            val state = (batch.feeds.tensors + shared).getValue("state")
            val values = state.floatBuffer
            val size = values.capacity() / if (state.info.shape.size == 2) batch.index.size else 1
            val losses = FloatArray(batch.index.size) { row ->
                val first = if (state.info.shape.size == 2) row * size else 0
                (0 until size).sumOf { values.get(first + it).toDouble() }.toFloat() + batch.index[row]
            }
            Feeds().use { made ->
                made.floats("loss_minus", losses, losses.size)
                made.floats("loss_plus", FloatArray(losses.size) { losses[it] + 1 }, losses.size)
                use(batch, made.tensors)
            }
            batch.close()
        }

        override fun close() = Unit
    }

    private fun tuner(estimator: Estimator, probes: Int, state: State, record: (List<Record>) -> Unit) =
        Tuner(estimator, probes, NormalisedSettings(1.0, "constant").build(9), Sampler(5, 8, 4), Places(8), state, record, 5, 2)

    @Test
    fun `a step is recorded before the state moves, one record a probe`() {
        State(plainUpdate, 32, 3).use { state ->
            val told = Told(floatArrayOf(1f, 2f, 3f, 4f, 5f, 6f), floatArrayOf(1f, 1f, 1f, 1f, 1f, 9f))
            val steps = ArrayList<List<Record>>()
            val tuner = tuner(told, 2, state) { records ->
                if (steps.isEmpty()) assertTrue(state.copied().all { it == 0f })
                steps += records
            }
            val events = List(2, tuner::step)
            assertEquals(List(4) { Noise.deriveSeed(5, "probe", it.toLong()) }, told.seeds)
            for ((step, event) in events.withIndex()) {
                val (first, second) = steps[step]
                assertArrayEquals(event.coefficients, first.coefficient + second.coefficient, 0f)
                assertArrayEquals(floatArrayOf(4f, 5f, 6f), second.lossPlus, 0f)
                assertArrayEquals(floatArrayOf(1f, 1f, 9f), second.lossMinus, 0f)
            }
            // Of both probes together: gradients 0 and 3, 1 and 4, 2 and -3; a step of a half, for each of two, at their root mean square.
            assertEquals(-0.5f * 3 / Math.sqrt(4.5).toFloat(), steps[0][1].coefficient[0], 1e-6f)
            State(plainUpdate, 32, 3).use { replayed ->
                replayed.apply(told.seeds.toLongArray(), steps.flatten().flatMap { it.coefficient.toList() }.toFloatArray())
                assertEquals(replayed.sha256(), state.sha256())
            }
        }
    }

    @Test
    fun `an event tells the work of a step`() {
        State(plainUpdate, 32).use { state ->
            val event = tuner(Told(floatArrayOf(1f), floatArrayOf(2f)), 1, state) {}.step(6)
            assertEquals(7, event.step)
            assertEquals(Work(6, 2, 10, 4), event.work)
            assertEquals(1.5, event.loss, 0.0)
            assertEquals(1.0, event.learningRate, 0.0)
        }
    }

    @Test
    fun `a loss that is not finite ends the run before its step, in whichever group it is`() {
        for (groups in 1..2) {
            State(plainUpdate, 32, groups).use { state ->
                val told = Told(FloatArray(groups), FloatArray(groups).also { it[groups - 1] = Float.NaN })
                val error = refused { tuner(told, 1, state) { throw AssertionError("recorded") }.step(2) }
                assertTrue(error.what, error.what.startsWith("the loss of step 3 is not finite"))
                assertTrue(state.copied().all { it == 0f })
            }
        }
    }

    @Test
    fun `a step that cannot be recorded does not move the state`() {
        State(plainUpdate, 32).use { state ->
            val tuner = tuner(Told(floatArrayOf(1f), floatArrayOf(2f)), 1, state) { throw SeedTuneException("full") }
            refused { tuner.step(0) }
            assertTrue(state.copied().all { it == 0f })
        }
    }

    @Test
    fun `one state has the mean of all rows, in whatever order they were computed`() {
        State(plainUpdate, 32).use { state ->
            val found = TwoSided(Sums, TwoSidedSettings(0.25)).measure(state, longArrayOf(1), Places(5).batches(IntArray(5), 2), 5)
            assertEquals(1, found.groups)
            assertArrayEquals(floatArrayOf(3f), found.lossPlus, 0f)
            assertArrayEquals(floatArrayOf(2f), found.lossMinus, 0f)
            assertArrayEquals(doubleArrayOf(2.0), found.projectedGradient, 0.0)
        }
    }

    @Test
    fun `with a state a row, each row has its own loss at its own state`() {
        State(plainUpdate, 32, 3).use { state ->
            repeat(3) { group -> state.values.put(group * 32, 10f * (group + 1)) }
            val estimator = TwoSided(Sums, TwoSidedSettings(0.25))
            val found = estimator.measure(state, longArrayOf(1), Places(3).batches(IntArray(3), 2), 3)
            assertEquals(3, found.groups)
            assertArrayEquals(floatArrayOf(10f, 21f, 32f), found.lossMinus, 0f)
            assertArrayEquals(floatArrayOf(11f, 22f, 33f), found.lossPlus, 0f)
            assertThrows(IllegalArgumentException::class.java) { estimator.measure(state, longArrayOf(1), Places(4).batches(IntArray(4), 2), 4) }
        }
    }

    @Test
    fun `a state of another shape than its coefficients is refused`() {
        State(plainUpdate, 32, 3).use { state -> assertThrows(IllegalArgumentException::class.java) { state.apply(longArrayOf(1), FloatArray(2)) } }
        for ((parameters, groups) in listOf(0 to 1, 32 to 0, (1 shl 20) to (1 shl 10))) {
            assertThrows(IllegalArgumentException::class.java) { State(plainUpdate, parameters, groups) }
        }
    }
}
