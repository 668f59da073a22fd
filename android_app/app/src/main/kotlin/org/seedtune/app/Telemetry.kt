package org.seedtune.app

import android.os.Debug
import android.os.SystemClock
import java.io.File
import java.io.IOException
import kotlin.math.abs
import org.seedtune.engine.telemetry.MemoryRollup
import org.seedtune.engine.telemetry.MemorySample

/** Lines about this process and its phone; units are in the names, and what a phone does not tell is null. */
class Telemetry(private val device: Device, private val elapsedNanos: () -> Long = SystemClock::elapsedRealtimeNanos) {
    private val energy = Energy()

    /** Joules so far; null while the phone does not tell. */
    val joules: Double? get() = energy.joules
    private var sequence = 0L
    private var rollup = MemoryRollup(null, null, null, null)
    private var rollupAtNanos: Long? = null

    /** The next line. */
    fun line(): Map<String, Any?> {
        val now = elapsedNanos()
        val process = MemorySample.read()
        val system = device.memory()
        val state = device.state()
        val power = device.power()
        val faults = faults()
        if (rollupAtNanos.let { it == null || now - it >= ROLLUP_NANOS }) {
            rollup = MemoryRollup.read()
            rollupAtNanos = now
        }
        return linkedMapOf(
            "sequence" to sequence++,
            "elapsed_realtime_nanos" to now,
            "vm_rss_bytes" to process.vmRssBytes,
            "rss_anon_bytes" to process.rssAnonBytes,
            "rss_file_bytes" to process.rssFileBytes,
            "rss_shmem_bytes" to process.rssShmemBytes,
            "vm_swap_bytes" to process.vmSwapBytes,
            "vm_hwm_bytes" to process.vmHwmBytes,
            "pss_bytes" to rollup.pssBytes,
            "pss_anon_bytes" to rollup.pssAnonBytes,
            "private_dirty_bytes" to rollup.privateDirtyBytes,
            "swap_pss_bytes" to rollup.swapPssBytes,
            "rollup_at_nanos" to rollupAtNanos,
            "native_heap_bytes" to Debug.getNativeHeapAllocatedSize(),
            "available_bytes" to system.availMem,
            "low_memory" to system.lowMemory,
            "threshold_bytes" to system.threshold,
            "thermal_status" to state.thermalStatus,
            "thermal_headroom" to device.headroom(),
            "battery_percent" to state.batteryPercent,
            "plugged" to state.plugged,
            "charging" to state.charging,
            "battery_current_microamperes" to power.currentMicroamperes,
            "battery_voltage_millivolts" to power.voltageMillivolts,
            "battery_charge_microampere_hours" to power.chargeMicroampereHours,
            "battery_joules" to energy.after(now, power),
            "battery_current_scale" to energy.scale,
            "processor_kilohertz" to frequencies(),
            "free_storage_bytes" to state.freeBytes,
            "minor_faults" to faults?.first,
            "major_faults" to faults?.second,
        )
    }

    companion object {
        /** The kernel walks all pages of the process for it. */
        private const val ROLLUP_NANOS = 30_000_000_000L

        /** Page faults of this process so far, without and with a read from storage; see proc(5), /proc/PID/stat. */
        fun faults(stat: File = File("/proc/self/stat")): Pair<Long, Long>? =
            try {
                // The second field, a name in brackets, may hold anything.
                val fields = stat.readText().substringAfterLast(") ").split(' ')
                fields[FAULTS].toLong() to fields[FAULTS + 2].toLong()
            } catch (_: IOException) {
                null
            } catch (_: RuntimeException) {
                null
            }

        private const val FAULTS = 7

        /** Of each processor, or null for one that does not tell, or sleeps. */
        fun frequencies(root: File = File("/sys/devices/system/cpu")): List<Long?> {
            val processors = root.list { _, name -> Regex("cpu[0-9]+").matches(name) }.orEmpty().sortedBy { it.removePrefix("cpu").toInt() }
            return processors.map { name ->
                try {
                    File(root, "$name/cpufreq/scaling_cur_freq").readText().trim().toLongOrNull()
                } catch (_: IOException) {
                    null
                }
            }
        }
    }
}

/**
 * Joules that went through the battery since the first line, by the trapezoid rule; null while a phone does not tell its current.
 *
 * Android asks for microamperes, and some makers give milliamperes. A phone that tunes draws more than 20 mA and less than 20 A, so
 * where no current was ever above 20,000 they are taken for milliamperes.
 */
class Energy {
    private var sum = 0.0
    private var largest = 0L
    private var isTold = false
    private var lastNanos: Long? = null
    private var lastWatts = 0.0

    /** What a given current is multiplied with to be microamperes: 1, or 1,000 as a guess. */
    val scale: Int get() = if (largest in 1 until LEAST_MICROAMPERES) MILLI.toInt() else 1

    /** The sum so far. */
    val joules: Double? get() = if (isTold) sum * scale else null

    /** The sum after a sample at [nanos]. Phones do not agree on the sign of the current, so both directions count. */
    fun after(nanos: Long, power: Power): Double? {
        val watts = abs((power.currentMicroamperes ?: return null) / MICRO * (power.voltageMillivolts ?: return null) / MILLI)
        lastNanos?.let { sum += (watts + lastWatts) / 2 * (nanos - it) / NANO }
        largest = maxOf(largest, abs(power.currentMicroamperes))
        isTold = true
        lastNanos = nanos
        lastWatts = watts
        return joules
    }

    private companion object {
        const val LEAST_MICROAMPERES = 20_000L
        const val MILLI = 1e3
        const val MICRO = 1e6
        const val NANO = 1e9
    }
}

/** What goes through the battery now. */
class Power(val currentMicroamperes: Long?, val voltageMillivolts: Int?, val chargeMicroampereHours: Long?)
