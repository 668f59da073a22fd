package org.seedtune.app

import android.content.Context
import org.seedtune.engine.context.ContextCost

/** What the contexts of rows come to, and whether they must be computed first, in the phone's language. */
fun costText(context: Context, cost: ContextCost): String {
    val size = context.getString(R.string.cost, cost.rows, cost.bytesPerRow / KILOBYTE, cost.totalBytes / MEGABYTE)
    val first = when {
        cost.missingRows == 0 -> context.getString(R.string.cost_nothing)
        cost.computable -> context.getString(R.string.cost_computed, cost.missingRows)
        else -> context.getString(R.string.cost_desk, cost.missingRows)
    }
    return "$size $first"
}

private const val KILOBYTE = 1e3
private const val MEGABYTE = 1e6
