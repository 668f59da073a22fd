package org.seedtune.engine

import java.util.Random
import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.pow
import kotlin.math.sqrt
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.graph.State
import org.seedtune.engine.noise.Noise
import org.seedtune.engine.tuning.estimator.Estimate
import org.seedtune.engine.tuning.estimator.TwoSidedSettings
import org.seedtune.engine.tuning.optimizer.MomentumSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings
import org.seedtune.engine.tuning.optimizer.Optimizer
import org.seedtune.engine.tuning.optimizer.ProbeOptimizerSettings

class OptimizerTest {
    private val random = Random(16)

    private fun gradients(count: Int) = DoubleArray(count) { random.nextGaussian() * 10.0.pow(random.nextInt(7) - 3) }

    private fun Optimizer.all(gradients: DoubleArray, groups: Int, probes: Int): List<FloatArray> =
        (0 until gradients.size / (groups * probes)).map { step ->
            coefficients(step, gradients.copyOfRange(step * groups * probes, (step + 1) * groups * probes), groups)
        }

    @Test
    fun `coefficients are those of a calculation by hand`() {
        // rms_decay 1/2: mean squares 4/2, 2/2 + 36/2, 19/2, over 1/2, 3/4, 7/8: roots 2, sqrt(76/3), sqrt(76/7).
        val settings = NormalisedSettings(learningRate = 0.5, schedule = "linear", rmsDecay = 0.5, clip = 1.0)
        val found = settings.build(4).all(doubleArrayOf(2.0, -6.0, 0.0, 1.0), 1, 1).map { it.single() }
        assertEquals(-0.5f, found[0], 0f)
        assertEquals(0.375f, found[1], 0f)
        assertEquals(0f, found[2], 0f)
        // 19/4 + 1/2 = 21/4 over 15/16 is 5.6: 1 / 2.3664319 at a rate of 1/8.
        assertEquals(-0.05282214f, found[3], 1e-8f)
        val wide = settings.copy(clip = 3.0).build(4).all(doubleArrayOf(2.0, -6.0), 1, 1).map { it.single() }
        // 6 / sqrt(76 / 3) at a rate of 3/8.
        assertEquals(0.44702967f, wide[1], 1e-7f)
    }

    @Test
    fun `the learning rate falls as its schedule says`() {
        fun rates(schedule: String) = NormalisedSettings(2.0, schedule).build(4).let { made -> List(4, made::rate) }
        assertEquals(listOf(2.0, 1.5, 1.0, 0.5), rates("linear"))
        assertEquals(listOf(2.0, 2.0, 2.0, 2.0), rates("constant"))
        rates("cosine").forEachIndexed { step, rate -> assertEquals(1.0 - cos(PI * (4 - step) / 4), rate, 1e-15) }
        assertEquals(listOf(2.0, 1.5, 1.0, 0.5), MomentumSettings(2.0).build(4).let { made -> List(4, made::rate) })
    }

    @Test
    fun `coefficients follow the formula, with powers and sums over all steps`() {
        val (steps, groups, probes) = Triple(40, 3, 2)
        val settings = NormalisedSettings(learningRate = 0.125, clip = 1.5)
        val given = gradients(steps * groups * probes)
        fun gradient(step: Int, probe: Int, group: Int) = given[(step * probes + probe) * groups + group]
        settings.build(steps).all(given, groups, probes).forEachIndexed { step, found ->
            for (group in 0 until groups) {
                val mean = (0..step).sumOf { before ->
                    val square = (0 until probes).sumOf { gradient(before, it, group).pow(2) } / probes
                    (1 - settings.rmsDecay) * settings.rmsDecay.pow(step - before) * square
                } / (1 - settings.rmsDecay.pow(step + 1))
                for (probe in 0 until probes) {
                    val clipped = maxOf(-1.5, minOf(1.5, gradient(step, probe, group) / sqrt(mean)))
                    assertEquals(-0.125 * (steps - step) / steps * clipped / probes, found[probe * groups + group].toDouble(), 1e-8)
                }
            }
        }
    }

    @Test
    fun `each group goes its own way, to the bit`() {
        val (steps, groups) = 30 to 4
        val given = gradients(steps * groups)
        for (settings in listOf<ProbeOptimizerSettings>(NormalisedSettings(), MomentumSettings())) {
            val together = settings.build(steps).all(given, groups, 1)
            for (group in 0 until groups) {
                val alone = settings.build(steps).all(DoubleArray(steps) { given[it * groups + group] }, 1, 1)
                assertEquals(alone.map { it.single() }, together.map { it[group] })
            }
        }
    }

    @Test
    fun `a group whose losses never differ stays where it is`() {
        val given = gradients(20).also { for (place in it.indices step 2) it[place] = 0.0 }
        for (found in NormalisedSettings().build(10).all(given, 2, 1)) {
            assertEquals(0f.toRawBits(), found[0].toRawBits())
            assertTrue(found[1] != 0f)
        }
    }

    @Test
    fun `momentum shortens the step by what the velocity keeps`() {
        val given = doubleArrayOf(2.0, -6.0, 0.0, 1.0)
        val settings = MomentumSettings(0.5, "constant", 0.5, 1.0, momentum = 0.75)
        assertEquals(-0.125f, settings.build(4).all(given, 1, 1)[0].single(), 0f)
        val plain = NormalisedSettings(0.5, "constant", 0.5, 1.0).build(4).all(given, 1, 1)
        settings.copy(momentum = 0.0).build(4).all(given, 1, 1).zip(plain).forEach { (a, b) -> assertArrayEquals(a, b, 0f) }
        settings.build(4).all(given, 1, 1).zip(plain).forEach { (a, b) -> assertEquals(0.25f * b.single(), a.single(), 0f) }
    }

    @Test
    fun `velocity and state move as by hand`() {
        val seeds = longArrayOf(3, 4, 5)
        val signs = seeds.map { Noise.rademacher(it, 32) }
        State(plainUpdate, 32).use { state ->
            MomentumSettings(momentum = 0.5).build(3).use { it.move(state, seeds, floatArrayOf(1f, 2f, 4f)) }
            // Velocities z1, z1/2 + 2 z2, z1/4 + z2 + 4 z3, and their sum.
            val expected = FloatArray(32) { 1.75f * signs[0][it] + 3f * signs[1][it] + 4f * signs[2][it] }
            assertArrayEquals(expected, state.copied(), 0f)
        }
    }

    @Test
    fun `momentum rounds the product, the sum and the state once each`() {
        val (parameters, groups, probes) = Triple(64, 2, 200)
        val seeds = LongArray(probes) { Noise.deriveSeed(9, "probe", it.toLong()) }
        val coefficients = FloatArray(probes * groups) { random.nextGaussian().toFloat() * 0.03f }
        val speed = FloatArray(parameters * groups)
        val expected = FloatArray(parameters * groups)
        val kept = 0.9f.toDouble()
        seeds.forEachIndexed { probe, seed ->
            val signs = Noise.rademacher(seed, parameters)
            for (place in speed.indices) {
                // A double has more than twice a float's digits, so rounding it again gives the float that is nearest.
                val product = (kept * speed[place]).toFloat()
                val change = coefficients[probe * groups + place / parameters] * signs[place % parameters]
                speed[place] = (product.toDouble() + change).toFloat()
                expected[place] = (expected[place].toDouble() + speed[place]).toFloat()
            }
        }
        State(plainUpdate, parameters, groups).use { state ->
            MomentumSettings().build(probes).use { it.move(state, seeds, coefficients) }
            assertArrayEquals(expected, state.copied(), 0f)
        }
    }

    @Test
    fun `a replay in pieces is the replay in one`() {
        val seeds = LongArray(10) { it.toLong() }
        val coefficients = FloatArray(10) { random.nextFloat() }
        val hashes = listOf<ProbeOptimizerSettings>(NormalisedSettings(), MomentumSettings()).map { settings ->
            val (whole, parts) = listOf(listOf(0..9), listOf(0..3, 4..4, 5..9)).map { ranges ->
                State(plainUpdate, 32).use { state ->
                    settings.build(10).use { made -> for (range in ranges) made.move(state, seeds.sliceArray(range), coefficients.sliceArray(range)) }
                    state.sha256()
                }
            }
            assertEquals(whole, parts)
            whole
        }
        assertFalse(hashes[0] == hashes[1])
    }

    @Test
    fun `the mean of the last states is that of a plain loop, and steps are the same with it`() {
        val (steps, probes, groups) = Triple(8, 3, 2)
        val seeds = LongArray(steps * probes) { it.toLong() }
        val coefficients = FloatArray(seeds.size * groups) { random.nextGaussian().toFloat() }
        for (average in listOf(0.01, 0.5, 1.0)) {
            val states = State(plainUpdate, 32, groups).use { state ->
                List(steps) { step ->
                    state.apply(seeds.sliceArray(step * probes until (step + 1) * probes), coefficients.copyOfRange(step * probes * groups, (step + 1) * probes * groups))
                    state.copied()
                }
            }
            val tail = states.takeLast(maxOf(1, (average * steps).toInt()))
            State(plainUpdate, 32, groups).use { state ->
                NormalisedSettings(average = average).build(steps, probes).use { made ->
                    made.move(state, seeds, coefficients)
                    val found = made.evaluated(state).copied()
                    for (place in found.indices) assertEquals(tail.map { it[place].toDouble() }.average(), found[place].toDouble(), 1e-5)
                    assertArrayEquals(states.last(), state.copied(), 0f)
                }
            }
        }
        State(plainUpdate, 32).use { state -> NormalisedSettings().build(steps).use { assertTrue(it.evaluated(state) === state) } }
    }

    @Test
    fun `what is seen stands for what was asked`() {
        val given = gradients(12)
        for (settings in listOf<ProbeOptimizerSettings>(NormalisedSettings(), MomentumSettings())) {
            val asked = settings.build(6)
            val seeing = settings.build(6)
            asked.all(given.copyOf(8), 2, 1).forEachIndexed { step, recorded -> seeing.see(step, estimate(given, step), recorded) }
            assertArrayEquals(asked.coefficients(4, given.copyOfRange(8, 10), 2), seeing.coefficients(4, given.copyOfRange(8, 10), 2), 0f)
        }
    }

    @Test
    fun `a step that was not taken is refused by its number, whichever group is altered`() {
        val given = gradients(12)
        val recorded = NormalisedSettings().build(6).all(given, 2, 1)
        for (wrong in listOf(Math.nextUp(recorded[3][1]), Float.NaN)) {
            val seeing = NormalisedSettings().build(6)
            for (step in 0..2) seeing.see(step, estimate(given, step), recorded[step])
            val error = refused { seeing.see(3, estimate(given, 3), floatArrayOf(recorded[3][0], wrong)) }
            assertEquals("step 4 of the journal was not taken by these settings", error.what)
            assertEquals(wrong, error.value)
            assertEquals("coefficient ${recorded[3][1]}", error.rule)
        }
        val other = refused { MomentumSettings().build(6).see(0, estimate(given, 0), recorded[0]) }
        assertEquals("step 1 of the journal was not taken by these settings", other.what)
        assertThrows(IllegalArgumentException::class.java) { NormalisedSettings().build(6).see(0, estimate(given, 0), floatArrayOf(0f)) }
    }

    /** The estimate of [step] for two groups with these [gradients], whatever the losses were. */
    private fun estimate(gradients: DoubleArray, step: Int) = gradients.copyOfRange(2 * step, 2 * step + 2).let { part ->
        Estimate(2, FloatArray(2), FloatArray(2), part)
    }

    @Test
    fun `an estimate is the slope between two losses`() {
        val found = TwoSidedSettings(epsilon = 0.25).estimate(floatArrayOf(2f, 1f), floatArrayOf(1f, 1.5f), 2)
        assertArrayEquals(doubleArrayOf(2.0, -1.0), found.projectedGradient, 0.0)
        assertEquals(1.375, found.loss, 0.0)
    }
}
