package org.seedtune.app

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.Debug
import android.os.PowerManager
import android.os.SystemClock
import java.io.File
import org.seedtune.engine.telemetry.MemorySample

/** What the phone tells of itself: for the policy, and for the log. */
class Device(private val context: Context, private val storage: File) {
    private val battery = context.getSystemService(BatteryManager::class.java)
    private val power = context.getSystemService(PowerManager::class.java)
    private val activities = context.getSystemService(ActivityManager::class.java)

    /** Until then memory counts as low, after the system asked for some. */
    @Volatile
    var memoryLowUntilMs = 0L

    fun state(): DeviceState {
        val sticky: Intent? = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        val plugged = sticky?.getIntExtra(BatteryManager.EXTRA_PLUGGED, -1)?.takeIf { it >= 0 }
        return DeviceState(
            batteryPercent = property(BatteryManager.BATTERY_PROPERTY_CAPACITY)?.toInt(),
            charging = plugged?.let { it != 0 },
            thermalStatus = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) power.currentThermalStatus else null,
            freeBytes = storage.usableSpace,
            memoryLow = memory().lowMemory || SystemClock.elapsedRealtime() < memoryLowUntilMs,
        )
    }

    /** One line of the log; units are in the names. */
    fun telemetry(sequence: Long): Map<String, Any?> {
        val process = MemorySample.read()
        val system = memory()
        val device = state()
        return linkedMapOf(
            "sequence" to sequence,
            "elapsed_realtime_nanos" to SystemClock.elapsedRealtimeNanos(),
            "vm_rss_bytes" to process.vmRssBytes,
            "rss_anon_bytes" to process.rssAnonBytes,
            "rss_file_bytes" to process.rssFileBytes,
            "vm_hwm_bytes" to process.vmHwmBytes,
            "native_heap_bytes" to Debug.getNativeHeapAllocatedSize(),
            "available_bytes" to system.availMem,
            "low_memory" to system.lowMemory,
            "threshold_bytes" to system.threshold,
            "thermal_status" to device.thermalStatus,
            "thermal_headroom" to headroom(),
            "battery_percent" to device.batteryPercent,
            "charging" to device.charging,
            "battery_current_microamperes" to property(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW),
            "battery_charge_microampere_hours" to property(BatteryManager.BATTERY_PROPERTY_CHARGE_COUNTER),
            "free_storage_bytes" to device.freeBytes,
        )
    }

    private fun memory() = ActivityManager.MemoryInfo().also(activities::getMemoryInfo)

    private fun headroom(): Float? =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) power.getThermalHeadroom(FORECAST_SECONDS).takeUnless { it.isNaN() } else null

    // A phone that does not know says so by the smallest number.
    private fun property(id: Int): Long? = battery.getLongProperty(id).takeUnless { it == Long.MIN_VALUE || it == Int.MIN_VALUE.toLong() }

    private companion object {
        const val FORECAST_SECONDS = 10
    }
}
