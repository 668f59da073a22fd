package org.seedtune.app

import java.io.File
import org.seedtune.engine.run.RunSummary

/** Losses and accuracies of a run, as it is made and as its folder has them; any thread may add and look. */
class History {
    private val losses = ArrayList<Pair<Int, Double>>()
    private val accuracies = ArrayList<Pair<Int, Double>>()

    /** Step -> loss, in order, thinned out to [SHOWN] points at most. */
    fun losses(): List<Pair<Int, Double>> = synchronized(losses) { thinned() }

    /** Step -> accuracy on the held-out rows, in order. */
    fun accuracies(): List<Pair<Int, Double>> = synchronized(accuracies) { accuracies.toList() }

    fun addLoss(step: Int, loss: Double) {
        synchronized(losses) { losses += step to loss }
    }

    fun addAccuracy(step: Int, accuracy: Double) {
        synchronized(accuracies) { accuracies += step to accuracy }
    }

    private fun thinned(): List<Pair<Int, Double>> {
        if (losses.size <= SHOWN) return losses.toList()
        return List(SHOWN) { losses[(it * (losses.size - 1L) / (SHOWN - 1)).toInt()] }
    }

    companion object {
        private const val SHOWN = 600

        /** That of the run which is being made. */
        @Volatile
        var current = History()
            private set

        /** What the run in [folder] has so far. */
        fun of(folder: File) = History().also { history ->
            history.losses += RunSummary.losses(folder)
            history.accuracies += RunSummary.accuracies(folder)
        }

        /** The run in [folder] is being made from now on. */
        fun begin(folder: File): History = of(folder).also { current = it }
    }
}
