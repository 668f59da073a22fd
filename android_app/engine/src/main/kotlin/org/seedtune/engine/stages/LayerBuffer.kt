package org.seedtune.engine.stages

import java.io.Closeable
import java.nio.ByteBuffer
import org.seedtune.engine.graph.LayeredInput

/** A layer of an input. */
internal class WantedLayer(val input: LayeredInput, val layer: Int)

/**
 * Memory for layers of cached contexts: of one call, or of two, so that the next one is read while one computes. Shared by the graphs
 * of a bundle, of which one runs at a time.
 *
 * @param sizeBytes of it; grows where a call alone takes more.
 */
internal class LayerBuffer(sizeBytes: Long, private val platform: Platform) : Closeable {
    private var pages = platform.pages(maxOf(sizeBytes.toInt(), Platform.PAGE_BYTES))

    /** Reads what each of [calls] wants, by input of its graph. */
    fun read(calls: List<Map<String, WantedLayer>>): ReadAhead<Map<String, WantedLayer>, Map<String, ByteBuffer>> {
        val sizes = calls.map { call -> call.values.sumOf { aligned(it.input.layerBytes) } }
        val largest = sizes.maxOrNull() ?: 0
        if (largest > pages.capacity()) {
            platform.release(pages)
            pages = platform.pages(largest)
        }
        return ReadAhead(calls, sizes, pages.capacity(), "seedtune-contexts", ::fill)
    }

    override fun close() = platform.release(pages)

    private fun fill(call: Map<String, WantedLayer>, offset: Int): Map<String, ByteBuffer> {
        var first = offset
        return call.mapValues { (_, wanted) ->
            val size = wanted.input.layerBytes
            val into = pages.duplicate().apply { limit(first + size).position(first) }.slice()
            first += aligned(size)
            wanted.input.fill(wanted.layer, into)
            into.flip() as ByteBuffer
        }
    }

    private fun aligned(sizeBytes: Int) = (sizeBytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT

    private companion object {
        /** Where an input may start. */
        const val ALIGNMENT = 64
    }
}
