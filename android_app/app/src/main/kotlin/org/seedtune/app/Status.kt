package org.seedtune.app

import java.util.concurrent.CopyOnWriteArraySet

/** What the service is doing. */
sealed interface Status {
    /** Nothing. */
    object Idle : Status

    /** Copying what was chosen: [doneBytes] of [ofBytes], or of 0 when nobody knows. */
    data class Copying(val doneBytes: Long, val ofBytes: Long) : Status

    /** [name] is there and can be chosen. */
    data class Copied(val name: String) : Status

    /** Reading and checking, or computing contexts: [done] of [of], or 0 of 0 when nobody knows. */
    data class Preparing(val done: Int, val of: Int) : Status

    /** [step] of [steps] made; [losses] of all steps of this process, [anonymousBytes] of memory. */
    data class Tuning(val step: Int, val steps: Int, val losses: List<Double>, val anonymousBytes: Long?) : Status

    /** Waits until [reason] is gone. */
    data class Paused(val reason: PauseReason, val step: Int, val steps: Int) : Status

    /** Ended after [steps]; [complete] if none is left. */
    data class Done(val steps: Int, val complete: Boolean, val accuracy: Double?) : Status

    /** Ended by something that the user can put right. */
    data class Failed(val message: String) : Status
}

/** Why tuning waits. */
enum class PauseReason { USER, BATTERY_LOW, NOT_CHARGING, HOT, STORAGE_LOW, MEMORY_LOW }

/** The status of this process, for whoever shows it; listeners are called on the thread that changed it. */
object Board {
    private val listeners = CopyOnWriteArraySet<(Status) -> Unit>()

    @Volatile
    var status: Status = Status.Idle
        private set

    fun show(status: Status) {
        this.status = status
        listeners.forEach { it(status) }
    }

    fun add(listener: (Status) -> Unit) {
        listeners += listener
    }

    fun remove(listener: (Status) -> Unit) {
        listeners -= listener
    }
}
