package org.seedtune.engine

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.double
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Test
import org.seedtune.engine.json.JsonText

class JsonTextTest {
    @Test
    fun `numbers and strings are written as Python writes them`() {
        for (line in Golden.file("json.jsonl").readLines()) assertEquals(line, JsonText.encode(Json.parseToJsonElement(line)))
    }

    @Test
    fun `every double reads back the same`() {
        val bits = java.util.Random(7)
        repeat(20_000) {
            val value = java.lang.Double.longBitsToDouble(bits.nextLong())
            if (value.isFinite()) assertEquals(value, Json.parseToJsonElement(JsonText.number(value)).jsonPrimitive.double, 0.0)
        }
    }

    @Test
    fun `what is not finite is null`() {
        assertEquals("[null,null,null]", JsonText.encode(listOf(Double.NaN, Float.POSITIVE_INFINITY, null)))
    }
}
