package org.seedtune.engine.context

/**
 * What the contexts of some rows come to.
 *
 * @property rows with a context, equal ones counted once.
 * @property totalBytes of a cache of all of them.
 * @property missingRows how many of them are in no cache.
 * @property missingBytes of these.
 * @property computable whether the missing ones can be computed on this device; else they must come from the desk.
 */
class ContextCost internal constructor(
    val rows: Int,
    val totalBytes: Long,
    val missingRows: Int,
    val missingBytes: Long,
    val computable: Boolean,
) {
    /** Bytes of a row, on average. */
    val bytesPerRow: Long get() = if (rows == 0) 0 else totalBytes / rows

    internal operator fun plus(other: ContextCost) = ContextCost(
        rows + other.rows, totalBytes + other.totalBytes, missingRows + other.missingRows, missingBytes + other.missingBytes, computable && other.computable,
    )
}
