package org.seedtune.engine.telemetry

import java.io.File
import java.io.IOException

private const val KIBIBYTE = 1024L

/** `Kind:   number kB` lines of [file] -> bytes; empty where the system does not tell. */
private fun sizes(file: File): Map<String, Long> =
    try {
        file.readLines().mapNotNull { line ->
            val number = line.substringAfter(':', "").trim().removeSuffix(" kB").toLongOrNull()
            number?.let { line.substringBefore(':') to it * KIBIBYTE }
        }.toMap()
    } catch (_: IOException) {
        emptyMap()
    }

/** Resident memory of this process by kind, in bytes; null where the system does not tell. See proc(5), /proc/PID/status. */
class MemorySample(
    val vmRssBytes: Long?,
    val rssAnonBytes: Long?,
    val rssFileBytes: Long?,
    val vmHwmBytes: Long?,
    val rssShmemBytes: Long? = null,
    val vmSwapBytes: Long? = null,
) {
    /** What only this process can give back: anonymous and shared memory, and what of it lies in swap. */
    val ownBytes: Long? get() = rssAnonBytes?.let { it + (rssShmemBytes ?: 0) + (vmSwapBytes ?: 0) }

    companion object {
        /** What the kernel says now. */
        fun read(status: File = File("/proc/self/status")): MemorySample {
            val found = sizes(status)
            return MemorySample(found["VmRSS"], found["RssAnon"], found["RssFile"], found["VmHWM"], found["RssShmem"], found["VmSwap"])
        }
    }
}

/**
 * What the pages of this process come to, in bytes: shared ones by their share ([pssBytes]), and those that are its alone. See
 * proc(5), /proc/PID/smaps_rollup. The kernel walks all pages for it, so it is not for every step.
 */
class MemoryRollup(val pssBytes: Long?, val pssAnonBytes: Long?, val privateDirtyBytes: Long?, val swapPssBytes: Long?) {
    companion object {
        /** What the kernel says now; nulls where it does not. */
        fun read(rollup: File = File("/proc/self/smaps_rollup")): MemoryRollup {
            val found = sizes(rollup)
            return MemoryRollup(found["Pss"], found["Pss_Anon"], found["Private_Dirty"], found["SwapPss"])
        }
    }
}
