package org.seedtune.app

import org.seedtune.engine.telemetry.SegmentedLog

/**
 * Writes lines of telemetry: one a second at most, and so seldom that they take at most a hundredth of the time.
 *
 * @param line makes one.
 * @param nanos a clock that goes on while the phone sleeps.
 */
class Recorder(private val log: SegmentedLog, private val line: () -> Map<String, Any?>, private val nanos: () -> Long) {
    private var nextNanos: Long? = null

    /** Writes a line if it is time for one. */
    fun record() {
        val began = nanos()
        if (nextNanos.let { it != null && began < it }) return
        log.write(line())
        val took = nanos() - began
        nextNanos = began + maxOf(INTERVAL_NANOS, took * SHARE)
    }

    private companion object {
        const val INTERVAL_NANOS = 1_000_000_000L
        const val SHARE = 100
    }
}
