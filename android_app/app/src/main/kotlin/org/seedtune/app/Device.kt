package org.seedtune.app

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock
import java.io.File

/** What the phone tells of itself: for the policy, and for the log. */
class Device(private val context: Context, private val storage: File) {
    private val battery = context.getSystemService(BatteryManager::class.java)
    private val power = context.getSystemService(PowerManager::class.java)
    private val activities = context.getSystemService(ActivityManager::class.java)

    /** Until then memory counts as low, after the system asked for some; from Android 14 on it does not ask any more. */
    @Volatile
    var memoryLowUntilMs = 0L

    fun state(): DeviceState {
        val battery = sticky()
        val plugged = battery?.getIntExtra(BatteryManager.EXTRA_PLUGGED, -1)?.takeIf { it >= 0 }
        val status = battery?.getIntExtra(BatteryManager.EXTRA_STATUS, -1)?.takeIf { it > BatteryManager.BATTERY_STATUS_UNKNOWN }
        return DeviceState(
            batteryPercent = property(BatteryManager.BATTERY_PROPERTY_CAPACITY)?.toInt(),
            plugged = plugged?.let { it != 0 },
            charging = status?.let { it == BatteryManager.BATTERY_STATUS_CHARGING || it == BatteryManager.BATTERY_STATUS_FULL },
            thermalStatus = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) power.currentThermalStatus else null,
            freeBytes = storage.usableSpace,
            memoryLow = memory().lowMemory || SystemClock.elapsedRealtime() < memoryLowUntilMs,
        )
    }

    fun memory() = ActivityManager.MemoryInfo().also(activities::getMemoryInfo)

    /** How near the phone is to throttling in some seconds, 1 being there; null where it does not tell. */
    fun headroom(): Float? =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) power.getThermalHeadroom(FORECAST_SECONDS).takeUnless { it.isNaN() } else null

    fun power() = Power(
        property(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW),
        sticky()?.getIntExtra(BatteryManager.EXTRA_VOLTAGE, 0)?.takeIf { it > 0 },
        property(BatteryManager.BATTERY_PROPERTY_CHARGE_COUNTER),
    )

    private fun sticky(): Intent? = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))

    // A phone that does not know says so by the smallest number.
    private fun property(id: Int): Long? = battery.getLongProperty(id).takeUnless { it == Long.MIN_VALUE || it == Int.MIN_VALUE.toLong() }

    private companion object {
        const val FORECAST_SECONDS = 10
    }
}
