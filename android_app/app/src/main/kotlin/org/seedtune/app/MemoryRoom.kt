package org.seedtune.app

import java.io.File
import org.seedtune.engine.bundle.Bundle

/** How much memory a model may take. */
object MemoryRoom {
    /**
     * The limit for the bundle in [folder], or null to leave its weights to the system, which drops them when it needs room: what
     * was [asked] for, or half of what is available if the weights take more than that. A phone that says 0 does not know.
     */
    fun limitBytes(folder: File, availableBytes: Long, asked: Long?): Long? {
        if (asked != null || availableBytes <= 0) return asked
        val half = availableBytes / 2
        val weights = listOf(Bundle.WEIGHTS, Bundle.CONTEXT_WEIGHTS).sumOf { File(folder, it).length() }
        return half.takeIf { weights > it }
    }
}
