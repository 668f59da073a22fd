package org.seedtune.app

import java.util.concurrent.CopyOnWriteArraySet

/** What the service is doing. */
sealed interface Status {
    /** Nothing. */
    object Idle : Status

    /** Copying what was chosen: [doneBytes] of [ofBytes], or of 0 when nobody knows. */
    data class Importing(val doneBytes: Long, val ofBytes: Long) : Status

    /** [bundle] and [rows] are there and can be chosen. */
    data class Imported(val bundle: String?, val rows: List<String>) : Status

    /** A part of the work of [run] that is no step: [done] of [of], or 0 of 0 when nobody knows; [step] of [steps] made. */
    data class Preparing(val run: String, val phase: Phase, val done: Long, val of: Long, val step: Int = 0, val steps: Int = 0) : Status

    /** [step] of [steps] of [run] made, the last with [loss]; [secondsLeft] if that can be told. */
    data class Tuning(val run: String, val step: Int, val steps: Int, val loss: Double, val secondsLeft: Double?, val memory: MemoryNow?) : Status

    /** [run] waits until [reason] is gone. */
    data class Paused(val run: String, val reason: PauseReason, val step: Int, val steps: Int) : Status

    /** What is being done ends at once; it was asked to. */
    data class Stopping(val run: String?) : Status

    /** [run] ended after [steps]; [complete] if nothing is left; accuracies of the untouched and the best state. */
    data class Done(
        val run: String, val steps: Int, val complete: Boolean, val accuracyBefore: Double? = null, val accuracyAfter: Double? = null,
    ) : Status

    /** Ended by something that the user can put right; [run] if it was one. */
    data class Failed(val problem: Problem, val run: String? = null) : Status

    /** Whether the service is at it. */
    val isWork: Boolean get() = this is Importing || this is Preparing || this is Tuning || this is Paused || this is Stopping
}

/** What is done besides steps. */
enum class Phase { OPENING, VERIFYING, TRYING_THREADS, READING, CACHING, EVALUATING }

/**
 * Memory of this process in bytes.
 *
 * @property ownBytes its own, which the phone gets back when tuning ends.
 * @property givenBackBytes pages of the model's files, which the phone takes back whenever it needs them.
 */
data class MemoryNow(val ownBytes: Long, val givenBackBytes: Long)

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
