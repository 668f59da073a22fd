package org.seedtune.app

import android.content.Context

/** What kind of thing is going on, in a word or two of the phone's language; it changes seldom, so that it can be read aloud. */
fun headline(context: Context, status: Status): String = context.getString(
    when (status) {
        Status.Idle -> R.string.idle
        is Status.Importing -> R.string.headline_importing
        is Status.Imported -> R.string.headline_imported
        is Status.Preparing -> if (status.step > 0) R.string.headline_tuning else R.string.headline_preparing
        is Status.Tuning -> R.string.headline_tuning
        is Status.Paused -> R.string.headline_paused
        is Status.Stopping -> R.string.headline_stopping
        is Status.Done -> if (status.complete) R.string.headline_done else R.string.headline_stopped
        is Status.Failed -> R.string.headline_failed
    },
)

/** [status] in a line of the phone's language. */
fun statusText(context: Context, status: Status): String = when (status) {
    Status.Idle -> context.getString(R.string.idle)
    is Status.Importing -> context.getString(R.string.importing, status.doneBytes / MEGABYTE, status.ofBytes / MEGABYTE)
    is Status.Imported -> context.getString(R.string.imported, (listOfNotNull(status.bundle) + status.rows).joinToString())
    is Status.Preparing -> phaseText(context, status)
    is Status.Tuning -> listOfNotNull(
        context.getString(R.string.tuning_step, status.step, status.steps),
        status.secondsLeft?.let { context.getString(R.string.time_left, duration(context, it)) },
    ).joinToString(SEPARATOR)
    is Status.Paused -> context.getString(R.string.paused, status.step, status.steps, context.getString(reasonText(status.reason)))
    is Status.Stopping -> context.getString(R.string.stopping)
    is Status.Done -> when {
        !status.complete -> context.getString(R.string.stopped, status.steps)
        status.accuracyAfter != null -> accuracyText(context, status.accuracyBefore, status.accuracyAfter)
        else -> context.getString(R.string.done, status.steps)
    }
    is Status.Failed -> status.problem.text(context)
}

/** How far [status] is, as done and of; of 0 where nobody knows; null where nothing moves. */
fun progress(status: Status): Pair<Int, Int>? = when (status) {
    is Status.Importing -> share(status.doneBytes, status.ofBytes)
    is Status.Preparing -> share(status.done, status.of)
    is Status.Tuning -> status.step to status.steps
    is Status.Paused -> status.step to status.steps
    is Status.Stopping -> 0 to 0
    else -> null
}

/** The accuracies of the untouched and of the best state. */
fun accuracyText(context: Context, before: Double?, after: Double?): String = when {
    after == null -> context.getString(R.string.accuracy_none)
    before == null -> context.getString(R.string.accuracy_after, PERCENT * after)
    else -> context.getString(R.string.accuracy_change, PERCENT * before, PERCENT * after)
}

/** What the process holds, in plain words. */
fun memoryText(context: Context, memory: MemoryNow): String =
    context.getString(R.string.memory, memory.ownBytes / MEGABYTE, memory.givenBackBytes / MEGABYTE)

/** [seconds] as people say them. */
fun duration(context: Context, seconds: Double): String {
    val whole = seconds.toLong()
    return when {
        whole < MINUTE -> context.getString(R.string.seconds, whole)
        whole < HOUR -> context.getString(R.string.minutes, (whole + MINUTE / 2) / MINUTE)
        else -> context.getString(R.string.hours, whole / HOUR, whole % HOUR / MINUTE)
    }
}

private fun phaseText(context: Context, status: Status.Preparing): String {
    val (id, counted) = when (status.phase) {
        Phase.OPENING -> R.string.phase_opening to null
        Phase.TRYING_THREADS -> R.string.phase_threads to null
        Phase.VERIFYING -> R.string.phase_verifying to MEGABYTE
        Phase.READING -> R.string.phase_reading to 1
        Phase.CACHING -> R.string.phase_caching to 1
        Phase.EVALUATING -> R.string.phase_evaluating to 1
    }
    return if (counted == null) context.getString(id) else context.getString(id, status.done / counted, status.of / counted)
}

/** Of any size, in a thousandth: a progress bar counts in whole numbers of 32 bits. */
private fun share(done: Long, of: Long): Pair<Int, Int> = if (of <= 0) 0 to 0 else (THOUSAND * done / of).toInt() to THOUSAND

private fun reasonText(reason: PauseReason): Int = when (reason) {
    PauseReason.USER -> R.string.reason_user
    PauseReason.BATTERY_LOW -> R.string.reason_battery
    PauseReason.NOT_CHARGING -> R.string.reason_charger
    PauseReason.HOT -> R.string.reason_heat
    PauseReason.STORAGE_LOW -> R.string.reason_storage
    PauseReason.MEMORY_LOW -> R.string.reason_memory
}

/** Between facts of a line. */
const val SEPARATOR = " · "
private const val MEGABYTE = 1_000_000
private const val PERCENT = 100
private const val THOUSAND = 1000
private const val MINUTE = 60
private const val HOUR = 3600
