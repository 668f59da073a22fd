package org.seedtune.app.screen

import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.text.InputType
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import java.io.IOException
import org.seedtune.app.Answer
import org.seedtune.app.Asking
import org.seedtune.app.Board
import org.seedtune.app.History
import org.seedtune.app.Problem
import org.seedtune.app.ProblemKind
import org.seedtune.app.R
import org.seedtune.app.Request
import org.seedtune.app.RunEntry
import org.seedtune.app.Status
import org.seedtune.app.TuningService
import org.seedtune.app.accuracyText
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.task.Task

/** What a run came to, and what can be done with it: go on, begin anew, try, save, delete. */
class ResultScreen(private val desk: Desk, saved: Bundle?) {
    private val activity = desk.activity
    private var shown: String? = null
    private var entry: RunEntry? = null
    private var task: Task? = null
    private val typed = HashMap<String, String>()

    /** Why the shown run cannot be read; null if it can. */
    val problem: Problem? get() = entry?.problem

    init {
        saved?.getBundle(TYPED)?.let { fields -> for (name in fields.keySet()) typed[name] = fields.getString(name).orEmpty() }
        view<Button>(R.id.main).setOnClickListener { goOnOrRenew() }
        view<Button>(R.id.ask).setOnClickListener { ask() }
        view<Button>(R.id.save).setOnClickListener {
            val intent = Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("application/zip")
            desk.choose(intent.putExtra(Intent.EXTRA_TITLE, "$shown.zip"), Desk.SAVE)
        }
        view<Button>(R.id.delete).setOnClickListener { askToDelete() }
        view<Button>(R.id.back).setOnClickListener { desk.show(null) }
    }

    /** Keeps what was typed over a turn of the phone. */
    fun save(state: Bundle) {
        keepTyped()
        state.putBundle(TYPED, Bundle().also { for ((name, text) in typed) it.putString(name, text) })
    }

    /** The shown run has changed: it is read again. */
    fun forget() {
        shown = null
    }

    fun render(run: String) {
        if (run == shown) return
        shown = run
        entry = null
        desk.inBackground {
            val found = desk.runs.entry(run)
            val history = History.of(desk.places.run(run))
            val asked = found.request?.let(::taskOf)
            desk.onMain { if (run == shown) fill(found, history, asked) }
        }
    }

    private fun taskOf(request: Request): Task? =
        try {
            Manifest.read(desk.places.bundle(request.bundle)).languageModel.task
        } catch (_: SeedTuneException) {
            // Whoever goes on is told.
            null
        }

    private fun fill(found: RunEntry, history: History, asked: Task?) {
        entry = found
        task = asked
        show(R.id.result_card, found.summary != null)
        view<TextView>(R.id.result_accuracy).text = accuracyText(activity, found.summary?.accuracyBefore, found.summary?.accuracyAfter)
        view<TextView>(R.id.result_facts).text = RunsList.facts(desk, found)
        view<RunChart>(R.id.result_chart).show(history.losses(), history.accuracies(), found.summary?.settings?.steps ?: 0)
        view<Button>(R.id.main).setText(if (found.canGoOn) R.string.go_on else R.string.new_run)
        view<Button>(R.id.main).isEnabled = found.request != null
        show(R.id.try_card, asked != null && found.summary != null)
        show(R.id.completion, asked?.completes == true)
        show(R.id.ask, asked?.completes == false)
        answer("")
        fillFields(asked?.takeUnless { it.completes }?.fields.orEmpty())
        desk.render()
    }

    private fun fillFields(names: List<String>) {
        val fields = view<ViewGroup>(R.id.fields)
        fields.removeAllViews()
        for (name in names) {
            val field = EditText(activity, null, 0, R.style.Field)
            field.id = View.generateViewId()
            field.hint = name
            field.setText(typed[name])
            field.inputType = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_MULTI_LINE or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES
            field.minimumHeight = (activity.resources.displayMetrics.density * FIELD_DP).toInt()
            val place = ViewGroup.MarginLayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
            place.topMargin = (activity.resources.displayMetrics.density * GAP_DP).toInt()
            fields.addView(field, android.widget.LinearLayout.LayoutParams(place))
        }
    }

    private fun keepTyped() {
        val fields = view<ViewGroup>(R.id.fields)
        for (place in 0 until fields.childCount) (fields.getChildAt(place) as EditText).let { typed[it.hint.toString()] = it.text.toString() }
    }

    private fun goOnOrRenew() {
        val found = entry ?: return
        val request = found.request ?: return
        val chosen = if (found.canGoOn) request else request.copy(run = desk.runs.newName(request.bundle, request.train))
        val intent = TuningService.intent(activity, TuningService.ACTION_START)
        // A run that goes on takes its settings from its own journal.
        desk.startRun(if (found.canGoOn) intent.putExtra(Request.RUN, found.name) else chosen.putInto(intent))
    }

    private fun ask() {
        keepTyped()
        val found = entry ?: return
        val fields = task?.fields.orEmpty().associateWith { typed[it].orEmpty().trim() }
        if (fields.isEmpty() || fields.values.any { it.isEmpty() }) return answer(activity.getString(R.string.type_first))
        answer(activity.getString(R.string.asking))
        view<Button>(R.id.ask).isEnabled = false
        Asking.of(activity).ask(found.request!!.bundle, found.name, fields) { answered, problem ->
            desk.onMain {
                view<Button>(R.id.ask).isEnabled = true
                answer(if (answered == null) "${problem!!.text(activity)}\n${problem.detail}" else text(answered))
            }
        }
    }

    private fun text(answered: Answer): String {
        val labels = answered.labels.joinToString("\n") { (label, probability) -> activity.getString(R.string.answer_text, label, PERCENT * probability) }
        return "$labels\n${activity.getString(R.string.answer_steps, answered.steps)}"
    }

    private fun answer(text: String) {
        view<TextView>(R.id.answer).text = text
        show(R.id.answer, text.isNotEmpty())
    }

    private fun askToDelete() {
        val run = shown ?: return
        AlertDialog.Builder(activity).setMessage(activity.getString(R.string.delete_question, run)).setNegativeButton(R.string.cancel, null)
            .setPositiveButton(R.string.delete) { _, _ ->
                desk.inBackground {
                    val failure = attempt { desk.runs.delete(run) }
                    desk.onMain {
                        desk.show(null)
                        if (failure != null) Board.show(Status.Failed(Problem(ProblemKind.OTHER, failure)))
                    }
                }
            }.show()
    }

    /** Writes the shown run as a zip to [uri], which somebody chose. */
    fun save(uri: Uri) {
        val run = shown ?: return
        desk.inBackground {
            val failure = attempt {
                val output = activity.contentResolver.openOutputStream(uri, "wt") ?: throw IOException("it cannot be opened")
                output.use { desk.runs.pack(run, it) }
            }
            desk.onMain {
                val text = if (failure == null) activity.getString(R.string.saved) else Problem(ProblemKind.OTHER, failure).let { "${it.text(activity)}\n$failure" }
                AlertDialog.Builder(activity).setMessage(text).setPositiveButton(android.R.string.ok, null).show()
            }
        }
    }

    private fun attempt(action: () -> Unit): String? =
        try {
            action()
            null
        } catch (error: IOException) {
            error.message.orEmpty()
        } catch (error: SecurityException) {
            error.message.orEmpty()
        }

    private fun show(id: Int, isVisible: Boolean) {
        view<View>(id).visibility = if (isVisible) View.VISIBLE else View.GONE
    }

    private fun <T : View> view(id: Int): T = activity.findViewById(id)

    private companion object {
        const val TYPED = "typed"
        const val PERCENT = 100
        const val FIELD_DP = 48
        const val GAP_DP = 8
    }
}
