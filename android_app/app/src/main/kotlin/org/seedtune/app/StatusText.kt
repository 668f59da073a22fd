package org.seedtune.app

import android.content.Context

/** [status] in a line of the phone's language. */
fun statusText(context: Context, status: Status): String = when (status) {
    Status.Idle -> context.getString(R.string.idle)
    is Status.Copying -> context.getString(R.string.copying, status.doneBytes / MEGABYTE, status.ofBytes / MEGABYTE)
    is Status.Copied -> context.getString(R.string.copied, status.name)
    is Status.Preparing ->
        if (status.of == 0) context.getString(R.string.preparing) else context.getString(R.string.caching, status.done, status.of)
    is Status.Tuning -> context.getString(
        R.string.tuning, status.step, status.steps, status.losses.lastOrNull() ?: Double.NaN, (status.anonymousBytes ?: 0) / MEGABYTE,
    )
    is Status.Paused -> context.getString(R.string.paused, status.step, status.steps, context.getString(reasonText(status.reason)))
    is Status.Done -> when {
        !status.complete -> context.getString(R.string.stopped, status.steps)
        status.accuracy != null -> context.getString(R.string.done_with_accuracy, status.steps, PERCENT * status.accuracy)
        else -> context.getString(R.string.done, status.steps)
    }
    is Status.Failed -> context.getString(R.string.failed, status.message)
}

private fun reasonText(reason: PauseReason): Int = when (reason) {
    PauseReason.USER -> R.string.reason_user
    PauseReason.BATTERY_LOW -> R.string.reason_battery
    PauseReason.NOT_CHARGING -> R.string.reason_charger
    PauseReason.HOT -> R.string.reason_heat
    PauseReason.STORAGE_LOW -> R.string.reason_storage
    PauseReason.MEMORY_LOW -> R.string.reason_memory
}

private const val MEGABYTE = 1_000_000
private const val PERCENT = 100
