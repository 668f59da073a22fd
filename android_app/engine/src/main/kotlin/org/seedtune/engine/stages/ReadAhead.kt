package org.seedtune.engine.stages

import java.io.Closeable
import java.util.concurrent.LinkedBlockingQueue
import kotlin.concurrent.thread

/**
 * Reads pieces of files ahead of their use: a thread fills a buffer while the caller computes.
 *
 * @param pieces in the order of their use.
 * @param sizesBytes what each takes of the buffer; none is larger than it.
 * @param bufferBytes of the buffer; what lies ahead is read as soon as there is room.
 * @param name of the thread.
 * @param read reads a piece into the buffer at an offset; called by the thread.
 */
internal class ReadAhead<Piece, Read : Any>(
    pieces: List<Piece>, sizesBytes: List<Int>, bufferBytes: Int, name: String, read: (Piece, Int) -> Read,
) : Closeable {
    private class Ready<Read>(val found: Read?, val error: Throwable?)

    private val ring = Ring(bufferBytes)
    private val ready = LinkedBlockingQueue<Ready<Read>>()
    private var inUse = false
    private val reader = thread(name = name, isDaemon = true) {
        try {
            for ((piece, size) in pieces.zip(sizesBytes)) {
                val offset = ring.take(size) ?: break
                ready.put(Ready(read(piece, offset), null))
            }
        } catch (error: Throwable) {
            // Thrown again in the thread that waits for the piece.
            ready.put(Ready(null, error))
        }
    }

    /** What was made of the next piece, valid until it is released or the one after it is asked for. Throws whatever reading it threw. */
    fun next(): Read {
        release()
        val next = ready.take()
        next.error?.let { throw it }
        inUse = true
        return next.found!!
    }

    /** Gives the memory of the piece in use back, so that another one can be read into it. */
    fun release() {
        if (inUse) ring.giveBack()
        inUse = false
    }

    override fun close() {
        ring.close()
        reader.join()
    }
}
