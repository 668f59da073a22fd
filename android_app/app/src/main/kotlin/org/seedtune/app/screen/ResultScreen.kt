package org.seedtune.app.screen

import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.TextView
import java.io.IOException
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
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.bundle.Manifest

/** What a run came to, and what can be done with it: go on, begin anew, try, save, delete. */
class ResultScreen(private val desk: Desk, saved: Bundle?) {
    private val activity = desk.activity
    private var shown: String? = null
    private var entry: RunEntry? = null
    private val trying = TryCard(desk, saved)

    /** Why the shown run cannot be read; null if it can. */
    val problem: Problem? get() = entry?.problem

    init {
        view<Button>(R.id.main).setOnClickListener { goOnOrRenew() }
        view<Button>(R.id.save).setOnClickListener {
            val intent = Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("application/zip")
            desk.choose(intent.putExtra(Intent.EXTRA_TITLE, "$shown.zip"), Desk.SAVE)
        }
        view<Button>(R.id.delete).setOnClickListener { askToDelete() }
        view<Button>(R.id.back).setOnClickListener { desk.show(null) }
    }

    /** Keeps what was typed over a turn of the phone. */
    fun save(state: Bundle) = trying.save(state)

    /** The screen goes: nobody reads what is being written. */
    fun close() = trying.close()

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
            val model = found.request?.let(::modelOf)
            desk.onMain { if (run == shown) fill(found, history, model) }
        }
    }

    private fun modelOf(request: Request): LanguageModel? =
        try {
            Manifest.read(desk.places.bundle(request.bundle)).languageModel
        } catch (_: SeedTuneException) {
            // Whoever goes on is told.
            null
        }

    private fun fill(found: RunEntry, history: History, model: LanguageModel?) {
        entry = found
        show(R.id.result_card, found.summary != null)
        view<TextView>(R.id.result_accuracy).text = accuracyText(activity, found.summary?.accuracyBefore, found.summary?.accuracyAfter)
        view<TextView>(R.id.result_facts).text = RunsList.facts(desk, found)
        view<RunChart>(R.id.result_chart).show(history.losses(), history.accuracies(), found.summary?.settings?.steps ?: 0)
        view<Button>(R.id.main).setText(if (found.canGoOn) R.string.go_on else R.string.new_run)
        view<Button>(R.id.main).isEnabled = found.request != null
        trying.show(found.name, found.request?.bundle, model.takeIf { found.summary != null })
        desk.render()
    }

    private fun goOnOrRenew() {
        val found = entry ?: return
        val request = found.request ?: return
        val chosen = if (found.canGoOn) request else request.copy(run = desk.runs.newName(request.bundle, request.train))
        val intent = TuningService.intent(activity, TuningService.ACTION_START)
        // A run that goes on takes its settings from its own journal.
        desk.startRun(if (found.canGoOn) intent.putExtra(Request.RUN, found.name) else chosen.putInto(intent))
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
}
