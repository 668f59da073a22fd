package org.seedtune.app.screen

import android.app.AlertDialog
import android.content.Context
import android.content.Intent
import android.os.Build
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.CheckBox
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import java.io.IOException
import org.seedtune.app.LicencesActivity
import org.seedtune.app.Problem
import org.seedtune.app.ProblemKind
import org.seedtune.app.R
import org.seedtune.app.Request
import org.seedtune.app.Running
import org.seedtune.app.SEPARATOR
import org.seedtune.app.Status
import org.seedtune.app.TuningService
import org.seedtune.app.costText
import org.seedtune.app.Board
import org.seedtune.app.headline
import org.seedtune.app.lastExit
import org.seedtune.app.progress
import org.seedtune.app.statusText
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.context.ContextCost
import org.seedtune.engine.run.Settings

/** What to tune: a model, rows, how many steps; and the runs that there are. What was chosen is kept by name, over turns and restarts. */
class ChooseScreen(private val desk: Desk) {
    private val activity = desk.activity
    private val kept = activity.getSharedPreferences(CHOICES, Context.MODE_PRIVATE)
    private val list = RunsList(desk)
    private var asked = 0
    private val onChoice = object : AdapterView.OnItemSelectedListener {
        override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) = chosen()

        override fun onNothingSelected(parent: AdapterView<*>?) = chosen()
    }

    init {
        view<EditText>(R.id.steps).setText(kept.getString(STEPS, Settings().steps.toString()))
        view<CheckBox>(R.id.only_while_charging).isChecked = kept.getBoolean(CHARGING, false)
        for (id in listOf(R.id.bundle, R.id.train, R.id.eval)) view<Spinner>(id).onItemSelectedListener = onChoice
        view<Button>(R.id.start).setOnClickListener { start() }
        view<Button>(R.id.licences).setOnClickListener { activity.startActivity(Intent(activity, LicencesActivity::class.java)) }
        for (id in ADDITIONS) view<Button>(id).setOnClickListener { add() }
        view<Button>(R.id.importing_stop).setOnClickListener { desk.tell(TuningService.ACTION_STOP) }
        view<Button>(R.id.interrupted_go_on).setOnClickListener {
            Running(desk.places).run?.let { desk.startRun(TuningService.intent(activity, TuningService.ACTION_START).putExtra(Request.RUN, it)) }
        }
        view<Button>(R.id.interrupted_not_now).setOnClickListener {
            Running(desk.places).end()
            render(Board.status)
        }
    }

    /** Looks again at what is there. */
    fun refresh() {
        val data = desk.places.data
        fill(R.id.bundle, desk.places.bundles, kept.getString(BUNDLE, null))
        fill(R.id.train, data, kept.getString(TRAIN, null) ?: data.firstOrNull { !isForChecking(it) })
        val eval = if (kept.contains(EVAL)) kept.getString(EVAL, null) else data.firstOrNull(::isForChecking)
        fill(R.id.eval, listOf(activity.getString(R.string.none)) + data, eval)
        list.refresh()
        showCost()
    }

    /** Keeps what is typed. */
    fun keep() {
        val typed = view<EditText>(R.id.steps).text.toString()
        kept.edit().putString(STEPS, typed).putBoolean(CHARGING, view<CheckBox>(R.id.only_while_charging).isChecked).apply()
    }

    fun render(status: Status) {
        val importing = status as? Status.Importing
        show(R.id.importing, importing != null || status is Status.Imported)
        view<TextView>(R.id.importing_text).text = listOf(headline(activity, status), statusText(activity, status)).joinToString(SEPARATOR)
        show(R.id.importing_bar, importing != null)
        show(R.id.importing_stop, importing != null)
        progress(status)?.let { (done, of) ->
            view<ProgressBar>(R.id.importing_bar).apply {
                isIndeterminate = of == 0
                max = of
                progress = done
            }
        }
        val isEmpty = desk.places.bundles.isEmpty() || desk.places.data.isEmpty()
        show(R.id.empty, isEmpty && importing == null)
        show(R.id.choices, !isEmpty)
        view<TextView>(R.id.empty_text).text = activity.getString(R.string.empty_text, desk.places.root.path)
        view<Button>(R.id.start).isEnabled = !status.isWork
        show(R.id.add, !isEmpty)
        for (id in ADDITIONS) view<Button>(id).isEnabled = !status.isWork
        showInterrupted(status)
    }

    private fun showInterrupted(status: Status) {
        val running = Running(desk.places)
        val run = running.run?.takeUnless { status.isWork }
        show(R.id.interrupted, run != null)
        if (run == null) return
        val exit = lastExit(activity, running.sinceMs)
        view<TextView>(R.id.interrupted_text).text =
            if (exit == null) activity.getString(R.string.interrupted, run) else activity.getString(R.string.last_exit, run, exit)
    }

    /** The request that the choices make; null while something is missing. */
    private fun request(run: (bundle: String, train: String) -> String): Request? {
        val bundle = view<Spinner>(R.id.bundle).selectedItem as? String ?: return null
        val train = view<Spinner>(R.id.train).selectedItem as? String ?: return null
        val steps = view<EditText>(R.id.steps).text.toString().toIntOrNull()?.takeIf { it > 0 } ?: return null
        return Request(bundle, train, eval(), run(bundle, train), Settings(steps = steps), view<CheckBox>(R.id.only_while_charging).isChecked)
    }

    // Held-out rows begin with "none".
    private fun eval(): String? = view<Spinner>(R.id.eval).let { if (it.selectedItemPosition > 0) it.selectedItem as String else null }

    private fun start() {
        keep()
        val request = request(desk.runs::newName)
        if (request == null) {
            Board.show(Status.Failed(Problem(ProblemKind.NOTHING_CHOSEN)))
            return
        }
        desk.startRun(request.putInto(TuningService.intent(activity, TuningService.ACTION_START)))
    }

    private fun add() {
        val words = arrayOf(activity.getString(R.string.add_file), activity.getString(R.string.add_folder))
        AlertDialog.Builder(activity).setTitle(R.string.add).setItems(words) { _, which ->
            if (which == 0) {
                // Few phones know a type for JSON lines.
                desk.choose(Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), Desk.CHOOSE_FILE)
            } else {
                desk.choose(Intent(Intent.ACTION_OPEN_DOCUMENT_TREE), Desk.CHOOSE_FOLDER)
            }
        }.show()
    }

    private fun chosen() {
        val choices = kept.edit()
        (view<Spinner>(R.id.bundle).selectedItem as? String)?.let { choices.putString(BUNDLE, it) }
        (view<Spinner>(R.id.train).selectedItem as? String)?.let { choices.putString(TRAIN, it) }
        if (view<Spinner>(R.id.eval).count > 1) choices.putString(EVAL, eval().orEmpty())
        choices.apply()
        showCost()
    }

    /** Says what the contexts of what is chosen come to before a run begins; every row is read for that, so not on this thread. */
    private fun showCost() {
        val request = request(Request.Companion::nameOf)
        val number = ++asked
        desk.inBackground {
            val cost = request?.let(::cost)
            val isCoarse = request != null && isCoarse(request.bundle)
            desk.onMain {
                if (number != asked) return@onMain
                view<TextView>(R.id.cost).text = cost?.let { costText(activity, it) }
                show(R.id.cost, cost != null)
                show(R.id.coarse, isCoarse)
            }
        }
    }

    private fun cost(request: Request): ContextCost? =
        try {
            val places = desk.places
            SeedTune.contextCost(
                places.bundle(request.bundle), places.run(request.run), places.data(request.train), request.eval?.let(places::data), places.contexts,
            )
        } catch (_: SeedTuneException) {
            // Whoever starts is told.
            null
        } catch (_: IOException) {
            null
        }

    private fun isCoarse(bundle: String): Boolean =
        try {
            Manifest.read(desk.places.bundle(bundle)).storage == "int8" && isCoarseProcessor(Build.SUPPORTED_ABIS.first(), File("/proc/cpuinfo"))
        } catch (_: SeedTuneException) {
            false
        }

    private fun fill(id: Int, names: List<String>, wanted: String?) {
        val spinner = view<Spinner>(id)
        spinner.onItemSelectedListener = null
        spinner.adapter = ArrayAdapter(activity, android.R.layout.simple_spinner_dropdown_item, names)
        names.indexOf(wanted).takeIf { it >= 0 }?.let { spinner.setSelection(it, false) }
        spinner.onItemSelectedListener = onChoice
    }

    private fun isForChecking(name: String) = CHECKING.any { name.startsWith(it) }

    private fun show(id: Int, isVisible: Boolean) {
        view<View>(id).visibility = if (isVisible) View.VISIBLE else View.GONE
    }

    private fun <T : View> view(id: Int): T = activity.findViewById(id)

    companion object {
        const val CHOICES = "choices"
        private val ADDITIONS = listOf(R.id.add, R.id.add_first)
        private const val BUNDLE = "bundle"
        private const val TRAIN = "train"
        private const val EVAL = "eval"
        private const val STEPS = "steps"
        private const val CHARGING = "only_while_charging"
        private val CHECKING = listOf("validation", "valid", "eval", "dev", "test", "held")

        /** Whether products of int8 overflow on this processor: x86 without VNNI adds pairs in 16 bits. */
        fun isCoarseProcessor(abi: String, information: File): Boolean =
            abi.startsWith("x86") && try {
                information.readLines().none { it.startsWith("flags") && "vnni" in it }
            } catch (_: IOException) {
                false
            }
    }
}
