package org.seedtune.app.screen

import android.view.View
import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import org.seedtune.app.Board
import org.seedtune.app.History
import org.seedtune.app.PauseReason
import org.seedtune.app.R
import org.seedtune.app.Status
import org.seedtune.app.TuningService
import org.seedtune.app.accuracyText
import org.seedtune.app.memoryText
import org.seedtune.app.progress
import org.seedtune.app.statusText

/** A run that is being made: how far it is, how well it goes, what it takes. */
class TuningScreen(private val desk: Desk) {
    private val activity = desk.activity

    init {
        view<Button>(R.id.stop).setOnClickListener { desk.tell(TuningService.ACTION_STOP) }
        view<Button>(R.id.pause).setOnClickListener {
            val waits = (Board.status as? Status.Paused)?.reason == PauseReason.USER
            desk.tell(if (waits) TuningService.ACTION_RESUME else TuningService.ACTION_PAUSE)
        }
    }

    fun render(status: Status) {
        view<TextView>(R.id.status).text = statusText(activity, status)
        val (done, of) = progress(status) ?: (0 to 0)
        view<ProgressBar>(R.id.bar).apply {
            isIndeterminate = of == 0
            max = of
            progress = done
        }
        view<Button>(R.id.pause).apply {
            isEnabled = status !is Status.Stopping
            setText(if (status is Status.Paused && status.reason == PauseReason.USER) R.string.go_on else R.string.pause)
        }
        view<Button>(R.id.stop).isEnabled = status !is Status.Stopping
        val accuracies = History.current.accuracies()
        val best = accuracies.maxByOrNull { it.second }
        view<TextView>(R.id.accuracy).apply {
            visibility = if (best == null) View.GONE else View.VISIBLE
            if (best != null) text = accuracyText(activity, accuracies.first().second.takeIf { accuracies.size > 1 }, best.second)
        }
        val steps = when (status) {
            is Status.Tuning -> status.steps
            is Status.Paused -> status.steps
            is Status.Preparing -> status.steps
            else -> 0
        }
        view<RunChart>(R.id.chart).show(History.current.losses(), accuracies, steps)
        val memory = (status as? Status.Tuning)?.memory
        if (memory != null) view<TextView>(R.id.memory).text = memoryText(activity, memory)
        view<TextView>(R.id.memory).visibility = if (view<TextView>(R.id.memory).text.isNullOrEmpty()) View.GONE else View.VISIBLE
    }

    private fun <T : View> view(id: Int): T = activity.findViewById(id)
}
