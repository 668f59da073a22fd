package org.seedtune.engine

import ai.onnxruntime.OnnxTensor
import java.util.Random
import kotlin.math.pow
import kotlin.math.sqrt
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Sampler
import org.seedtune.engine.data.Work
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.Graph
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.tuning.Descender
import org.seedtune.engine.tuning.estimator.Gradient
import org.seedtune.engine.tuning.optimizer.AdamWSettings

/** Steps along exact gradients: the mean over calls, the formula of AdamW, what is recorded and what is not kept. */
class GradientStepTest {
    private val random = Random(3)

    /** The loss of a row is half the squared distance of the state from the row's place, or [spoilt]. */
    private class Distances(private val spoilt: Float? = null) : Graph {
        override fun run(
            outputs: Set<String>,
            batches: Sequence<Batch>,
            shared: Map<String, OnnxTensor>,
            use: (Batch, Map<String, OnnxTensor>) -> Unit,
        ) = batches.forEach { batch ->
            val state = shared.getValue("state").floatBuffer
            val apart = batch.index.map { place -> FloatArray(state.capacity()) { state.get(it) - place } }
            Feeds().use { made ->
                made.floats("loss", FloatArray(apart.size) { row -> spoilt ?: (apart[row].sumOf { it.toDouble() * it } / 2).toFloat() }, apart.size)
                made.floats("gradient", FloatArray(state.capacity()) { value -> apart.sumOf { it[value].toDouble() }.toFloat() }, state.capacity())
                use(batch, made.tensors)
            }
            batch.close()
        }

        override fun close() = Unit
    }

    private fun descender(graph: Graph, state: State, record: (List<GradientRecord>) -> Unit) =
        Descender(Gradient(graph), AdamWSettings(0.5, "constant").build(9), Sampler(5, 8, 4), Places(8), state, record, 2)

    @Test
    fun `the gradient is that of the mean over all calls`() {
        State(plainUpdate, 32).use { state ->
            val found = Gradient(Distances()).measure(state, Places(5).batches(IntArray(5), 2))
            assertEquals(32 * (1 + 4 + 9 + 16) / 10.0, found.loss, 0.0)
            assertArrayEquals(FloatArray(32) { -2f }, found.gradient, 0f)
            assertEquals(2 * sqrt(32.0), found.norm, 1e-15)
        }
    }

    @Test
    fun `steps follow the formula, with powers, in twice the digits`() {
        val steps = 40
        val gradients = List(steps) { FloatArray(8) { place -> if (place == 0) 0f else (random.nextGaussian() * 10.0.pow(place - 5)).toFloat() } }
        for ((decay, clip) in listOf(0.0 to 0.5, 0.1 to 0.5, 0.1 to 1e9)) {
            val settings = AdamWSettings(0.01, "linear", 0.75, 0.875, decay, clip)
            val expected = DoubleArray(32) { 1.0 }
            State(plainUpdate, 32).use { state ->
                state.put(0, FloatArray(32) { 1f })
                val optimizer = settings.build(steps)
                for (step in 0 until steps) {
                    val longer = FloatArray(32) { gradients[step].getOrElse(it) { 0f } }
                    fun norm(of: Int) = sqrt(gradients[of].sumOf { it.toDouble() * it })
                    optimizer.move(step, state, longer, norm(step))
                    for (place in 0 until 32) {
                        fun slope(of: Int) = (gradients[of].getOrElse(place) { 0f }) * minOf(1.0, clip / norm(of))
                        val first = (0..step).sumOf { 0.25 * 0.75.pow(step - it) * slope(it) } / (1 - 0.75.pow(step + 1))
                        val second = (0..step).sumOf { 0.125 * 0.875.pow(step - it) * slope(it).pow(2) } / (1 - 0.875.pow(step + 1))
                        expected[place] -= 0.01 * (steps - step) / steps * (first / (sqrt(second) + 1e-8) + decay * expected[place])
                    }
                }
                state.copied().forEachIndexed { place, found -> assertEquals(expected[place], found.toDouble(), 1e-5) }
                assertEquals(if (decay == 0.0) 1.0 else expected[0], state.copied()[0].toDouble(), 1e-5)
            }
        }
    }

    @Test
    fun `who goes on from kept moments gets the same bits`() {
        val gradients = List(20) { FloatArray(32) { random.nextGaussian().toFloat() } }
        fun moved(stop: Int?): String = State(plainUpdate, 32).use { state ->
            var optimizer = AdamWSettings().build(20)
            gradients.forEachIndexed { step, gradient ->
                if (step == stop) {
                    val (first, second) = optimizer.firstMoment.copyOf() to optimizer.secondMoment.copyOf()
                    optimizer = AdamWSettings().build(20).also { it.restore(step, first, second) }
                }
                optimizer.move(step, state, gradient, 5.0)
            }
            state.sha256()
        }
        assertEquals(moved(null), moved(7))
    }

    @Test
    fun `a step is recorded with the hash of the state that it led to`() {
        State(plainUpdate, 32).use { state ->
            val records = ArrayList<GradientRecord>()
            val descender = descender(Distances(), state) { records += it }
            val event = descender.step(0)
            assertEquals(1, event.step)
            assertEquals(Work(6, 2, 10, 4), event.work)
            assertEquals(event.loss.toFloat(), records.single().loss, 0f)
            assertEquals(0.5f, records.single().learningRate, 0f)
            assertArrayEquals(state.sha256Bytes(), records.single().stateSha256)
            // The first step of Adam is as long as the learning rate, whatever the gradient.
            state.copied().forEach { assertEquals(0.5f, it, 1e-6f) }
            assertFalse(descender.isAhead)
        }
    }

    @Test
    fun `a loss that is not finite ends the run before its step`() {
        State(plainUpdate, 32).use { state ->
            val error = refused { descender(Distances(Float.NaN), state) { throw AssertionError("recorded") }.step(2) }
            assertTrue(error.what, error.what.startsWith("the loss of step 3 is not finite"))
            assertTrue(state.copied().all { it == 0f })
        }
    }

    @Test
    fun `a state that the journal does not know is not kept`() {
        State(plainUpdate, 32).use { state ->
            val descender = descender(Distances(), state) { throw SeedTuneException("full") }
            refused { descender.step(0) }
            assertTrue(descender.isAhead)
        }
    }
}
