package org.seedtune.engine.telemetry

import java.io.File
import java.io.IOException

/** Resident memory of this process by kind, in bytes; null where the system does not tell. See proc(5), /proc/PID/status. */
class MemorySample(val vmRssBytes: Long?, val rssAnonBytes: Long?, val rssFileBytes: Long?, val vmHwmBytes: Long?) {
    companion object {
        private const val KIBIBYTE = 1024L

        /** What the kernel says now. */
        fun read(status: File = File("/proc/self/status")): MemorySample {
            val lines = try {
                status.readLines()
            } catch (_: IOException) {
                emptyList()
            }

            fun bytes(kind: String): Long? = lines.firstOrNull { it.startsWith("$kind:") }
                ?.substringAfter(':')?.trim()?.substringBefore(' ')?.toLongOrNull()?.times(KIBIBYTE)

            return MemorySample(bytes("VmRSS"), bytes("RssAnon"), bytes("RssFile"), bytes("VmHWM"))
        }
    }
}
