package org.seedtune.app

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import android.content.Context
import android.os.Build

/**
 * Why this app's process ended, in a line of the phone's language; null where the phone does not tell, or it ended before [sinceMs] (a
 * time since 1970): what happened before a run began is not why it stopped.
 */
fun lastExit(context: Context, sinceMs: Long): String? {
    if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return null
    val activities = context.getSystemService(ActivityManager::class.java)
    val last = activities.getHistoricalProcessExitReasons(context.packageName, 0, 1).firstOrNull() ?: return null
    if (last.timestamp < sinceMs) return null
    return exitReason(last.reason, last.status, last.description)?.let(context::getString)
}

/** The words for an exit; see ApplicationExitInfo. */
internal fun exitReason(reason: Int, status: Int, description: String?): Int? = when (reason) {
    ApplicationExitInfo.REASON_LOW_MEMORY, REASON_MEMORY_LIMITER -> R.string.exit_memory
    // Where the killer for want of memory does not report, its signal is all there is.
    ApplicationExitInfo.REASON_SIGNALED -> if (status == SIGKILL) R.string.exit_memory else R.string.exit_crash
    ApplicationExitInfo.REASON_OTHER -> R.string.exit_memory.takeIf { description.orEmpty().startsWith("MemoryLimiter") }
    ApplicationExitInfo.REASON_CRASH, ApplicationExitInfo.REASON_CRASH_NATIVE -> R.string.exit_crash
    ApplicationExitInfo.REASON_USER_REQUESTED, ApplicationExitInfo.REASON_USER_STOPPED -> R.string.exit_user
    ApplicationExitInfo.REASON_EXCESSIVE_RESOURCE_USAGE -> R.string.exit_resources
    ApplicationExitInfo.REASON_ANR -> R.string.exit_hang
    else -> null
}

/** Of Android 17; the SDK that this is built with does not know its name. */
private const val REASON_MEMORY_LIMITER = 17
private const val SIGKILL = 9
