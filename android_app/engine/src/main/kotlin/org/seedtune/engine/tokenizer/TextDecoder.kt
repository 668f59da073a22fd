package org.seedtune.engine.tokenizer

import java.io.ByteArrayOutputStream
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.jsonObject

/** From the spellings of tokens to text. */
internal fun interface TextDecoder {
    fun text(pieces: List<String>): String

    companion object {
        /** That which `tokenizer.json` describes: of bytes, or none. Others belong to tokenizers that this engine does not read. */
        fun parse(element: JsonElement?): TextDecoder {
            if (element == null || element is JsonNull) return TextDecoder { it.joinToString(" ") }
            val type = element.jsonObject.text("type")
            if (type != "ByteLevel") throw unsupported("decoder", type)
            return TextDecoder { pieces ->
                val bytes = ByteArrayOutputStream()
                pieces.forEach { bytes.write(ByteLevel.bytes(it)) }
                lossyUtf8(bytes.toByteArray())
            }
        }
    }
}
