package org.seedtune.app

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import android.content.Context
import android.os.Build

/** Why this app's process ended the last time, in a line of the phone's language; null where the phone does not tell. */
fun lastExit(context: Context): String? {
    if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return null
    val activities = context.getSystemService(ActivityManager::class.java)
    val last = activities.getHistoricalProcessExitReasons(context.packageName, 0, 1).firstOrNull() ?: return null
    val reason = when (last.reason) {
        ApplicationExitInfo.REASON_LOW_MEMORY -> R.string.exit_memory
        ApplicationExitInfo.REASON_CRASH, ApplicationExitInfo.REASON_CRASH_NATIVE -> R.string.exit_crash
        ApplicationExitInfo.REASON_USER_REQUESTED, ApplicationExitInfo.REASON_USER_STOPPED -> R.string.exit_user
        ApplicationExitInfo.REASON_EXCESSIVE_RESOURCE_USAGE -> R.string.exit_resources
        ApplicationExitInfo.REASON_ANR -> R.string.exit_hang
        else -> return null
    }
    return context.getString(R.string.last_exit, context.getString(reason))
}
