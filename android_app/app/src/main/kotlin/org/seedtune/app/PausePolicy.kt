package org.seedtune.app

/**
 * What the phone says of itself; null where it does not.
 *
 * @property plugged whether something to charge from is connected; a phone that spares its battery may not take from it.
 * @property charging whether the battery is being filled, or full.
 * @property thermalStatus as PowerManager's THERMAL_STATUS_*: 0 none to 6 shutdown.
 */
data class DeviceState(
    val batteryPercent: Int?,
    val plugged: Boolean?,
    val charging: Boolean?,
    val thermalStatus: Int?,
    val freeBytes: Long,
    val memoryLow: Boolean,
)

/**
 * When tuning waits. A wait ends at a milder mark than it begins at, so that it does not begin again at once. The figures are guesses:
 * no phone has run it yet.
 */
class PausePolicy(private val onlyWhileCharging: Boolean) {
    /**
     * The first reason to wait, or null.
     *
     * @param waiting the reason that it waits for already.
     * @param waitedMs how long.
     */
    fun reason(device: DeviceState, userPaused: Boolean, waiting: PauseReason? = null, waitedMs: Long = 0): PauseReason? = when {
        userPaused -> PauseReason.USER
        device.memoryLow -> PauseReason.MEMORY_LOW
        device.freeBytes < if (waiting == PauseReason.STORAGE_LOW) 2 * STORAGE_BYTES else STORAGE_BYTES -> PauseReason.STORAGE_LOW
        isHot(device.thermalStatus ?: 0, waiting, waitedMs) -> PauseReason.HOT
        onlyWhileCharging && device.plugged == false -> PauseReason.NOT_CHARGING
        device.charging != true && (device.batteryPercent ?: 100) < least(waiting) -> PauseReason.BATTERY_LOW
        else -> null
    }

    private fun isHot(status: Int, waiting: PauseReason?, waitedMs: Long): Boolean {
        if (status >= THERMAL_SEVERE) return true
        // What was severe a moment ago becomes so again: cool, or a minute of moderate.
        return waiting == PauseReason.HOT && status > THERMAL_LIGHT && waitedMs < COOLING_MS
    }

    private fun least(waiting: PauseReason?) = if (waiting == PauseReason.BATTERY_LOW) BATTERY_PERCENT_AGAIN else BATTERY_PERCENT

    companion object {
        const val BATTERY_PERCENT = 15
        const val BATTERY_PERCENT_AGAIN = 20
        const val THERMAL_LIGHT = 1
        const val THERMAL_SEVERE = 3
        const val COOLING_MS = 60_000L
        const val STORAGE_BYTES = 64L shl 20
    }
}
