package org.seedtune.app

/**
 * When a job waits and when it ends, between two pieces of work. A wait that ends by itself soon (heat) keeps the processor awake: else
 * nobody would look before the phone wakes for something else. A longer one lets it sleep, and wakes it now and then.
 */
internal class Waiting(private val request: Request, private val host: JobHost, private val waitMs: Long) {
    private val lock = Object()
    private val policy = PausePolicy(request.onlyWhileCharging)
    private var stopped = false
    private var userPaused = false
    private var looked = false
    private var askedNanos: Long? = null

    /** Whether the run is to end. */
    val isStopped: Boolean get() = synchronized(lock) { stopped }

    /** Whether the model is to be closed until there is memory again. */
    var wantsRelief = false
        private set

    fun stop() = synchronized(lock) {
        stopped = true
        lock.notifyAll()
    }

    fun pause(paused: Boolean) = synchronized(lock) {
        userPaused = paused
        askedNanos = null
        lock.notifyAll()
    }

    fun look() = synchronized(lock) {
        looked = true
        askedNanos = null
        lock.notifyAll()
    }

    /** Waits if it is to; false when the work is to end. [paused] is told how many nanoseconds it waited. */
    fun goOn(step: Int, paused: (Long) -> Unit): Boolean {
        if (isStopped) return false
        // The phone is asked once a second: small models make hundreds of steps in it.
        val now = host.elapsedNanos()
        if (synchronized(lock) { askedNanos.let { it != null && now - it < ASK_NANOS } }) return true
        synchronized(lock) { askedNanos = now }
        if (reason(null, 0) == PauseReason.MEMORY_LOW) {
            wantsRelief = true
            return false
        }
        waitWhile(step)
        val waited = host.elapsedNanos() - now
        if (waited > 0) paused(waited)
        return !isStopped
    }

    /** Waits while memory is low, which nothing of the run holds any more. */
    fun forRelief(step: Int) {
        waitWhile(step)
        wantsRelief = false
    }

    private fun reason(waiting: PauseReason?, sinceNanos: Long): PauseReason? {
        val device = host.device()
        return synchronized(lock) { policy.reason(device, userPaused, waiting, (host.elapsedNanos() - sinceNanos) / NANOS_PER_MS) }
    }

    private fun waitWhile(step: Int) {
        var waiting: PauseReason? = null
        var since = host.elapsedNanos()
        while (!isStopped) {
            val reason = reason(waiting, since) ?: break
            val isNew = reason != waiting
            if (isNew) since = host.elapsedNanos()
            waiting = reason
            val isShort = reason in SHORT && host.elapsedNanos() - since < SHORT_NANOS
            host.stayAwake(isShort)
            if (!isShort && reason != PauseReason.USER) host.wake(WAKE_MS)
            if (isNew) host.show(Status.Paused(request.run, reason, step, request.settings.steps))
            synchronized(lock) {
                if (!stopped && !looked) lock.wait(waitMs)
                looked = false
            }
        }
        if (waiting == null) return
        host.wake(null)
        host.stayAwake(true)
    }

    private companion object {
        const val NANOS_PER_MS = 1_000_000L
        const val ASK_NANOS = 1_000_000_000L
        const val SHORT_NANOS = 600_000_000_000L

        /** In its deep sleep Android grants about one alarm in nine minutes. */
        const val WAKE_MS = 10 * 60_000L
        val SHORT = setOf(PauseReason.HOT, PauseReason.MEMORY_LOW)
    }
}
