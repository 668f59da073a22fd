package org.seedtune.engine.stages

import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock

/**
 * Places in a buffer of [capacityBytes], of which contiguous pieces are taken and given back in the same order, by two threads.
 * Which bytes they stand for is the owner's business.
 */
internal class Ring(private val capacityBytes: Int) {
    private class Piece(val start: Int, val end: Int)

    private val taken = ArrayDeque<Piece>()
    private val lock = ReentrantLock()
    private val changed = lock.newCondition()
    private var closed = false

    /** The offset of [sizeBytes] contiguous bytes, once they are free; null when the ring was closed meanwhile. */
    fun take(sizeBytes: Int): Int? {
        require(sizeBytes <= capacityBytes) { "$sizeBytes bytes do not fit into $capacityBytes" }
        lock.withLock {
            while (!closed) {
                val offset = freeOffset(sizeBytes)
                if (offset != null) {
                    taken += Piece(offset, offset + sizeBytes)
                    return offset
                }
                changed.await()
            }
        }
        return null
    }

    /** Frees the piece that was taken first. */
    fun giveBack() = lock.withLock {
        taken.removeFirst()
        changed.signalAll()
    }

    /** Ends the waiting of [take]. */
    fun close() = lock.withLock {
        closed = true
        changed.signalAll()
    }

    private fun freeOffset(sizeBytes: Int): Int? {
        val first = taken.firstOrNull() ?: return 0
        val last = taken.last()
        return when {
            last.start < first.start -> last.end.takeIf { first.start - it >= sizeBytes }
            capacityBytes - last.end >= sizeBytes -> last.end
            first.start >= sizeBytes -> 0
            else -> null
        }
    }
}
