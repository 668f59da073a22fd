package org.seedtune.engine.graph

import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import org.seedtune.engine.StoppedException

/**
 * A word to stop, which any thread may give while another one computes. ONNX Runtime looks at it between two operators, so a call that
 * takes minutes ends soon; what it was computing is lost, and nothing that was kept before.
 */
internal class Interruption {
    private val running = HashSet<OrtSession.RunOptions>()

    /** Whether it was given. */
    @Volatile
    var wanted = false
        private set

    /** Calls that are being made. */
    val calls: Int get() = synchronized(running) { running.size }

    /** Gives it. */
    fun want() = synchronized(running) {
        wanted = true
        running.forEach { it.setTerminate(true) }
    }

    /** @throws StoppedException it was given. */
    fun check() {
        if (wanted) throw StoppedException()
    }

    /**
     * Makes [call] with [options], which the caller closes later.
     *
     * @throws StoppedException the word was given before or meanwhile.
     */
    fun <T> during(options: OrtSession.RunOptions, call: () -> T): T {
        synchronized(running) {
            check()
            running += options
        }
        return try {
            call()
        } catch (error: OrtException) {
            check()
            throw error
        } finally {
            synchronized(running) { running -= options }
        }
    }
}
