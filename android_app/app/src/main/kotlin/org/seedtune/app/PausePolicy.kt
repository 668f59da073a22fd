package org.seedtune.app

/**
 * What the phone says of itself; null where it does not.
 *
 * @property thermalStatus as PowerManager's THERMAL_STATUS_*: 0 none to 6 shutdown.
 */
data class DeviceState(
    val batteryPercent: Int?,
    val charging: Boolean?,
    val thermalStatus: Int?,
    val freeBytes: Long,
    val memoryLow: Boolean,
)

/** When tuning waits. The figures are guesses: no phone has run it yet. */
class PausePolicy(private val onlyWhileCharging: Boolean) {
    /** The first reason to wait, or null. */
    fun reason(device: DeviceState, userPaused: Boolean): PauseReason? = when {
        userPaused -> PauseReason.USER
        device.memoryLow -> PauseReason.MEMORY_LOW
        device.freeBytes < STORAGE_BYTES -> PauseReason.STORAGE_LOW
        (device.thermalStatus ?: 0) >= THERMAL_SEVERE -> PauseReason.HOT
        onlyWhileCharging && device.charging == false -> PauseReason.NOT_CHARGING
        device.charging != true && (device.batteryPercent ?: 100) < BATTERY_PERCENT -> PauseReason.BATTERY_LOW
        else -> null
    }

    companion object {
        const val BATTERY_PERCENT = 15
        const val THERMAL_SEVERE = 3
        const val STORAGE_BYTES = 64L shl 20
    }
}
