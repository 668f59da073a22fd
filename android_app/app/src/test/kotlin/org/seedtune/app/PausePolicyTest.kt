package org.seedtune.app

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

class PausePolicyTest {
    private val fine = DeviceState(batteryPercent = 80, charging = false, thermalStatus = 0, freeBytes = 1L shl 30, memoryLow = false)
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
    fun `a low battery does not matter at the charger, and a phone that tells nothing tunes`() {
        assertNull(policy.reason(fine.copy(batteryPercent = 3, charging = true), userPaused = false))
        assertNull(policy.reason(fine.copy(batteryPercent = null, charging = null, thermalStatus = null), userPaused = false))
    }

    @Test
    fun `only while charging means it`() {
        val strict = PausePolicy(onlyWhileCharging = true)
        assertEquals(PauseReason.NOT_CHARGING, strict.reason(fine, userPaused = false))
        assertNull(strict.reason(fine.copy(charging = true), userPaused = false))
    }
}
