package org.seedtune.engine

import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test
import org.seedtune.engine.noise.Noise

class NoiseTest {
    @Test
    fun `the mixer gives its reference values`() {
        val expected = listOf(0 to 0, 1 to 0x688990C0, 2 to 0xD1132181.toInt(), 12345 to 0x912EFCF7.toInt())
        for ((word, mixed) in expected) assertEquals(mixed, Noise.mix32(word))
    }

    @Test
    fun `words, seeds and permutations are Python's`() {
        for (case in Golden.read("noise.json").items) {
            val seed = case.field("seed").jsonPrimitive.long
            val words = case.field("words").longs()
            assertEquals(words, Noise.words(seed, words.size).map { it.toLong() and Noise.WORD_MASK })
            val signs = case.field("signs").longs()
            assertArrayEquals(FloatArray(signs.size) { signs[it].toFloat() }, Noise.rademacher(seed, signs.size), 0f)
            val order = case.field("permutation").longs()
            assertEquals(order, Noise.permutation(seed, order.size).map { it.toLong() })
            for (derived in case.field("derived").items) {
                val found = Noise.deriveSeed(seed, derived.field("purpose").text, derived.field("counter").jsonPrimitive.long)
                assertEquals(derived.field("seed").jsonPrimitive.long, found)
            }
        }
    }
}
