package org.seedtune.app.screen

import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.seedtune.app.R
import org.seedtune.app.RunEntry
import org.seedtune.app.SEPARATOR
import org.seedtune.app.accuracyText
import org.seedtune.app.duration

/** The runs that are on the phone, the latest first. */
class RunsList(private val desk: Desk) {
    private val activity = desk.activity

    /** Reads them again. */
    fun refresh() = desk.inBackground {
        val entries = desk.runs.list()
        desk.onMain { fill(entries) }
    }

    private fun fill(entries: List<RunEntry>) {
        val list = activity.findViewById<ViewGroup>(R.id.runs)
        list.removeAllViews()
        activity.findViewById<View>(R.id.runs_title).visibility = if (entries.isEmpty()) View.GONE else View.VISIBLE
        for (entry in entries) {
            val item = activity.layoutInflater.inflate(R.layout.run_item, list, false)
            item.findViewById<TextView>(R.id.run_name).text = entry.name
            item.findViewById<TextView>(R.id.run_accuracy).apply {
                val summary = entry.summary
                text = if (summary?.accuracyAfter == null) null else accuracyText(activity, summary.accuracyBefore, summary.accuracyAfter)
                visibility = if (text.isNullOrEmpty()) View.GONE else View.VISIBLE
            }
            item.findViewById<TextView>(R.id.run_facts).text = facts(desk, entry)
            item.setOnClickListener { desk.show(entry.name) }
            list.addView(item)
        }
    }

    companion object {
        private const val JOULES_PER_WATT_HOUR = 3600

        /** Steps, time and energy of [entry] in a line. */
        fun facts(desk: Desk, entry: RunEntry): String {
            val context = desk.activity
            if (entry.problem != null) return context.getString(R.string.run_damaged)
            val summary = entry.summary ?: return context.getString(R.string.run_empty)
            return listOfNotNull(
                context.getString(R.string.steps_made, summary.steps, summary.settings.steps),
                summary.seconds?.let { duration(context, it) },
                entry.joules?.let { context.getString(R.string.energy, it / JOULES_PER_WATT_HOUR) },
            ).joinToString(SEPARATOR)
        }
    }
}
