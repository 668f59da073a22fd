package org.seedtune.engine.tokenizer

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** The special tokens around a row. */
internal class PostProcessor(val before: List<Int>, val behind: List<Int>) {
    companion object {
        private val NONE = PostProcessor(emptyList(), emptyList())

        /** The post-processor that `tokenizer.json` describes, for single texts. */
        fun parse(element: JsonElement?): PostProcessor {
            if (element == null || element is JsonNull) return NONE
            val fields = element as JsonObject
            return when (val type = fields.text("type")) {
                // Its offsets leave out spaces at the edges of tokens; truncation trims there anyway.
                "ByteLevel" -> NONE
                "RobertaProcessing", "BertProcessing" -> PostProcessor(listOf(named(fields, "cls")), listOf(named(fields, "sep")))
                "TemplateProcessing" -> template(fields)
                "Sequence" -> fields.getValue("processors").jsonArray.map(::parse).fold(NONE) { inner, outer ->
                    PostProcessor(outer.before + inner.before, inner.behind + outer.behind)
                }
                else -> throw unsupported("post-processor", type)
            }
        }

        private fun named(fields: JsonObject, name: String): Int = (fields.getValue(name) as JsonArray)[1].jsonPrimitive.int

        private fun template(fields: JsonObject): PostProcessor {
            val before = ArrayList<Int>()
            val behind = ArrayList<Int>()
            var seen = false
            val special = fields.getValue("special_tokens").jsonObject
            for (part in fields.getValue("single").jsonArray) {
                val (kind, value) = part.jsonObject.entries.single()
                if (kind == "Sequence") {
                    if (seen) throw unsupported("template", "a text that stands twice")
                    seen = true
                } else {
                    val entry = special.getValue(value.jsonObject.text("id")).jsonObject
                    (if (seen) behind else before) += entry.getValue("ids").jsonArray.map { it.jsonPrimitive.int }
                }
            }
            return PostProcessor(before, behind)
        }
    }
}
