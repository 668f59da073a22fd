package org.seedtune.engine.run

import org.seedtune.engine.tuning.StepEvent

/**
 * What a run tells while it goes on. Each is a question too: whoever answers false ends what is being done, within the piece of work that
 * comes next at most; whoever takes their time with the answer makes it wait.
 */
sealed interface TuningEvent {
    /** A step was made, and is in the journal. */
    class Step internal constructor(val step: StepEvent) : TuningEvent

    /** The held-out rows were evaluated after [step] steps; [best] if no earlier evaluation had a lower loss. */
    class Evaluated internal constructor(val step: Int, val accuracy: Double, val loss: Double, val best: Boolean) : TuningEvent

    /** [doneBytes] of [ofBytes] of the bundle's files are read and compared with their hashes. */
    class Verifying internal constructor(val doneBytes: Long, val ofBytes: Long) : TuningEvent

    /** [done] of [of] rows of a file are tokenised. */
    class ReadingRows internal constructor(val done: Int, val of: Int) : TuningEvent

    /** [done] of [of] rows are evaluated: held-out ones, or those that the start of the run is solved from. */
    class Evaluating internal constructor(val done: Int, val of: Int) : TuningEvent

    /** Something that a person should know. */
    class Notice internal constructor(val text: String) : TuningEvent

    /** [done] contexts of [of] that the cache lacked are computed. */
    class CachingContexts internal constructor(val done: Int, val of: Int) : TuningEvent

    /** A memory limit led to so many token rows a call; the process is expected to hold [expectedBytes] at its peak. */
    class KeepingToLimit internal constructor(val limitBytes: Long, val expectedBytes: Long, val rowsPerCall: Int) : TuningEvent
}

/**
 * What a run came to, as in result.json.
 *
 * @property steps made, those before a resume included.
 * @property interrupted whether something is left: steps, or the evaluation behind the last one.
 * @property stateSha256 of the state; null where it was ended before it had one.
 */
class RunResult internal constructor(
    val steps: Int,
    val interrupted: Boolean,
    val stateSha256: String?,
    val bestStep: Int?,
    val accuracyEnd: Double?,
)
