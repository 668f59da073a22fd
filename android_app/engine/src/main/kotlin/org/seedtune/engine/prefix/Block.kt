package org.seedtune.engine.prefix

import ai.onnxruntime.OnnxJavaType
import org.seedtune.engine.bundle.PrefixLayout

/** One of the arrays of a block, [layers, keyHeads, P, width] values of [itemBytes] each. */
internal class ArrayKind(val name: String, val type: OnnxJavaType, val itemBytes: Int, val width: Int)

/** The arrays of a block in their order; see [PrefixLayout]. */
internal fun arrayKinds(layout: PrefixLayout): List<ArrayKind> {
    val (type, size) = when (layout.storage) {
        "fp32" -> OnnxJavaType.FLOAT to 4
        "fp16" -> OnnxJavaType.FLOAT16 to 2
        else -> OnnxJavaType.INT8 to 1
    }
    val whole = listOf(ArrayKind("keys", type, size, layout.headSize), ArrayKind("values", type, size, layout.headSize))
    if (layout.storage != "int8") return whole
    return whole + listOf("key_scales", "value_scales").map { ArrayKind(it, OnnxJavaType.FLOAT16, 2, 1) }
}

/**
 * The keys and values of one row's prefix as stored: the arrays of [arrayKinds] without gaps, each [layers, keyHeads, tokens, width].
 * The same bytes as the Python runtime's.
 */
internal class Block(val tokens: Int, val bytes: ByteArray)
