package org.seedtune.engine

import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.seedtune.engine.generation.Sampling
import org.seedtune.engine.generation.TextStream
import org.seedtune.engine.tokenizer.Tokenizer

/** How a token is chosen, and how tokens become text while they come. */
class SamplingTest {
    @Test
    fun `the same tokens are drawn as in Python`() {
        var drawn = 0
        for (case in Golden.lines("generation/draws.jsonl")) {
            val logits = case.field("logits").items.map { it.jsonPrimitive.double.toFloat() }.toFloatArray()
            val (temperature, topP) = listOf("temperature", "top_p").map { case.field(it).jsonPrimitive.double }
            val sampling = Sampling(temperature, topP, case.field("seed").jsonPrimitive.long)
            case.field("drawn").items.forEachIndexed { place, expected ->
                assertEquals("${logits.size} logits, $sampling, place $place", expected.jsonPrimitive.int, sampling.choose(logits, place))
                drawn++
            }
        }
        assertTrue("$drawn", drawn > 3000)
    }

    @Test
    fun `shares of a nucleus are those of a plain sort`() {
        val logits = floatArrayOf(1f, 3f, 3f, -2f, 2f, 3f, Float.NEGATIVE_INFINITY)
        for (topP in listOf(1e-9, 0.2, 0.3, 0.5, 0.9, 0.999, 1.0)) {
            val shares = Sampling(1.0, 1.0).probabilities(logits)
            val order = logits.indices.sortedByDescending { shares[it] }
            val kept = order.filterIndexed { place, _ -> order.take(place).sumOf { shares[it] } < topP }
            val sum = kept.sumOf { shares[it] }
            val found = Sampling(1.0, topP).probabilities(logits)
            logits.indices.forEach { assertEquals("$topP: $it", if (it in kept) shares[it] / sum else 0.0, found[it], 1e-15) }
        }
    }

    @Test
    fun `logits that are not finite are refused`() {
        for (logits in listOf(floatArrayOf(1f, Float.NaN), floatArrayOf(Float.POSITIVE_INFINITY, 1f), floatArrayOf(Float.NEGATIVE_INFINITY))) {
            for (temperature in listOf(0.0, 1.0)) {
                assertEquals("what the model says of the next token is not finite", refused { Sampling(temperature).choose(logits, 0) }.what)
            }
        }
    }

    @Test
    fun `texts of tokens are Python's, whole and as they come`() {
        for (name in listOf("bytes", "smollm2")) {
            val tokenizer = Tokenizer.open(Golden.file("tokenizers/$name/tokenizer.json"))
            for (case in Golden.lines("tokenizers/$name/decoded.jsonl")) {
                val ids = case.field("ids").longs().map { it.toInt() }
                assertEquals("$name: $ids", case.field("text").text, tokenizer.text(ids))
                val before = case.field("before").jsonPrimitive.int
                val stream = TextStream(tokenizer::text, ids.take(before).toIntArray(), case.field("stops").items.map { it.text })
                val pieces = ids.drop(before).map(stream::add) + stream.finish()
                assertEquals("$name: $ids", case.field("pieces").items.map { it.text }, pieces)
            }
        }
    }

    @Test
    fun `a tokenizer whose decoder is not known reads, and says what it cannot do when it is to write`() {
        val model = """{"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}"""
        val tokenizer = Tokenizer.parse("""{"model": $model, "decoder": {"type": "Metaspace"}}""")
        assertEquals(listOf(0, 1), tokenizer.ids("ab").toList())
        assertEquals("Metaspace", refused { tokenizer.text(listOf(0)) }.value)
        assertEquals("a b", Tokenizer.parse("""{"model": $model}""").text(listOf(0, 7, 1)))
    }
}
