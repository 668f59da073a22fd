package org.seedtune.engine

import kotlinx.serialization.json.JsonNull
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import org.seedtune.engine.tokenizer.Tokenizer

class TokenizerTest {
    @Test
    fun `every text has Python's tokens, and they end where Python's end`() {
        for (name in Golden.read("tokenizers.json").items) {
            val tokenizer = Tokenizer.open(Golden.file("tokenizers/${name.text}/tokenizer.json"))
            for (case in Golden.lines("tokenizers/${name.text}/texts.jsonl")) {
                val text = case.field("text").text
                assertEquals("${name.text}: $text", case.field("ids").longs(), tokenizer.ids(text).map { it.toLong() })
                val ends = case.field("ends").takeUnless { it is JsonNull } ?: continue
                assertEquals("${name.text}: $text", ends.longs(), tokenizer.ends(text).map { it.toLong() })
            }
        }
    }

    @Test
    fun `a part that is not known is named`() {
        val error = assertThrows(SeedTuneException::class.java) {
            Tokenizer.parse("""{"model": {"type": "Unigram", "vocab": []}}""")
        }
        assertEquals("Unigram", error.value)
    }

    @Test
    fun `a damaged file is an error of its own`() {
        for (text in listOf("", "[]", "{}", """{"model": {"type": "BPE"}}""", """{"model": {"vocab": {"a": "b"}, "merges": []}}""")) {
            assertThrows(text, SeedTuneException::class.java) { Tokenizer.parse(text) }
        }
    }
}
