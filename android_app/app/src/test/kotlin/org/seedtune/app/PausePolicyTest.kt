package org.seedtune.app

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

class PausePolicyTest {
    private val fine = DeviceState(batteryPercent = 80, plugged = false, charging = false, thermalStatus = 0, freeBytes = 1L shl 30, memoryLow = false)
    private val policy = PausePolicy(onlyWhileCharging = false)

    @Test
    fun `a phone in order tunes`() = assertNull(policy.reason(fine, userPaused = false))

    @Test
    fun `each trouble has its reason`() {
        val troubles = mapOf(
            fine.copy(batteryPercent = PausePolicy.BATTERY_PERCENT - 1) to PauseReason.BATTERY_LOW,
            fine.copy(thermalStatus = PausePolicy.THERMAL_SEVERE) to PauseReason.HOT,
            fine.copy(freeBytes = PausePolicy.STORAGE_BYTES - 1) to PauseReason.STORAGE_LOW,
            fine.copy(memoryLow = true) to PauseReason.MEMORY_LOW,
        )
        for ((device, reason) in troubles) assertEquals(reason, policy.reason(device, userPaused = false))
        assertEquals(PauseReason.USER, policy.reason(fine, userPaused = true))
    }

    @Test
    fun `a low battery does not matter while it is filled, and a phone that tells nothing tunes`() {
        assertNull(policy.reason(fine.copy(batteryPercent = 3, plugged = true, charging = true), userPaused = false))
        assertNull(policy.reason(fine.copy(batteryPercent = null, plugged = null, charging = null, thermalStatus = null), userPaused = false))
        // A weak charger that the phone empties all the same.
        assertEquals(PauseReason.BATTERY_LOW, policy.reason(fine.copy(batteryPercent = 3, plugged = true), userPaused = false))
    }

    @Test
    fun `only while charging means plugged in, so that a phone that spares its full battery goes on`() {
        val strict = PausePolicy(onlyWhileCharging = true)
        assertEquals(PauseReason.NOT_CHARGING, strict.reason(fine, userPaused = false))
        assertNull(strict.reason(fine.copy(plugged = true, charging = false), userPaused = false))
    }

    @Test
    fun `a wait ends at a milder mark than it begins at`() {
        val warm = fine.copy(thermalStatus = PausePolicy.THERMAL_SEVERE - 1)
        assertNull(policy.reason(warm, userPaused = false))
        assertEquals(PauseReason.HOT, policy.reason(warm, userPaused = false, waiting = PauseReason.HOT, waitedMs = 5_000))
        assertNull(policy.reason(warm, userPaused = false, waiting = PauseReason.HOT, waitedMs = PausePolicy.COOLING_MS))
        assertNull(policy.reason(fine.copy(thermalStatus = PausePolicy.THERMAL_LIGHT), userPaused = false, waiting = PauseReason.HOT, waitedMs = 5_000))
        val empty = fine.copy(batteryPercent = PausePolicy.BATTERY_PERCENT + 1)
        assertNull(policy.reason(empty, userPaused = false))
        assertEquals(PauseReason.BATTERY_LOW, policy.reason(empty, userPaused = false, waiting = PauseReason.BATTERY_LOW))
        val full = fine.copy(freeBytes = PausePolicy.STORAGE_BYTES + 1)
        assertNull(policy.reason(full, userPaused = false))
        assertEquals(PauseReason.STORAGE_LOW, policy.reason(full, userPaused = false, waiting = PauseReason.STORAGE_LOW))
    }
}
