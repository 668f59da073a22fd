package org.seedtune.engine.tuning

import org.seedtune.engine.data.Batch
import org.seedtune.engine.data.Work

/** Passes batches on one at a time, as memory wants it, and counts their work and the time they took to make. */
internal class Counted(batches: Sequence<Batch>) {
    var work = Work()
        private set
    var encodeMs = 0.0
        private set

    val all: Sequence<Batch> = sequence {
        val each = batches.iterator()
        while (true) {
            val making = Clock()
            val batch = if (each.hasNext()) each.next() else null
            encodeMs += making.lap()
            if (batch == null) break
            work += batch.work
            yield(batch)
        }
    }
}

/** Milliseconds since the last lap. */
internal class Clock {
    private var last = System.nanoTime()

    fun lap(): Double {
        val now = System.nanoTime()
        val passed = (now - last) / 1e6
        last = now
        return passed
    }
}
