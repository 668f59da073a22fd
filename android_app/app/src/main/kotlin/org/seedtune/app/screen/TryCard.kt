package org.seedtune.app.screen

import android.os.Bundle
import android.text.InputType
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import java.util.concurrent.atomic.AtomicReference
import org.seedtune.app.Answer
import org.seedtune.app.Asking
import org.seedtune.app.Problem
import org.seedtune.app.R
import org.seedtune.app.Written
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.generation.Finish

/** Asks the model of a run: a classifier answers with labels, one that completes texts writes on, as it comes, until it is stopped. */
class TryCard(private val desk: Desk, saved: Bundle?) {
    private val activity = desk.activity
    private val typed = HashMap<String, String>()
    private var run = ""
    private var bundle = ""
    private var model: LanguageModel? = null
    private var isWriting = false

    /** What is to be shown of a text: small models write faster than screens draw. */
    private val latest = AtomicReference<String>()

    init {
        saved?.getBundle(TYPED)?.let { fields -> for (name in fields.keySet()) typed[name] = fields.getString(name).orEmpty() }
        view<Button>(R.id.ask).setOnClickListener { if (isWriting) stop() else begin() }
    }

    /** Keeps what was typed over a turn of the phone. */
    fun save(state: Bundle) {
        keepTyped()
        state.putBundle(TYPED, Bundle().also { for ((name, text) in typed) it.putString(name, text) })
    }

    /** Gives up what is being written. */
    fun close() {
        if (isWriting) Asking.of(activity).giveUp()
    }

    /** Takes questions to the [model] of [run], which is that of [bundle]; null for none. */
    fun show(run: String, bundle: String?, model: LanguageModel?) {
        close()
        this.run = run
        this.bundle = bundle.orEmpty()
        this.model = model
        isWriting = false
        val completes = model?.task?.completes == true
        val canAnswer = model != null && (!completes || model.decode != null)
        show(R.id.try_card, model != null)
        show(R.id.cannot_write, model != null && !canAnswer)
        show(R.id.ask, canAnswer)
        offer()
        answer("")
        fillFields(model?.task?.fields.orEmpty().takeIf { canAnswer }.orEmpty())
    }

    private fun fillFields(names: List<String>) {
        val fields = view<ViewGroup>(R.id.fields)
        fields.removeAllViews()
        val density = activity.resources.displayMetrics.density
        for (name in names) {
            val field = EditText(activity, null, 0, R.style.Field)
            field.id = View.generateViewId()
            field.hint = name
            field.setText(typed[name])
            field.inputType = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_MULTI_LINE or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES
            field.minimumHeight = (density * FIELD_DP).toInt()
            val place = ViewGroup.MarginLayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
            place.topMargin = (density * GAP_DP).toInt()
            fields.addView(field, LinearLayout.LayoutParams(place))
        }
    }

    private fun keepTyped() {
        val fields = view<ViewGroup>(R.id.fields)
        for (place in 0 until fields.childCount) (fields.getChildAt(place) as EditText).let { typed[it.hint.toString()] = it.text.toString() }
    }

    private fun begin() {
        keepTyped()
        val task = model?.task ?: return
        val fields = task.fields.associateWith { typed[it].orEmpty().trim() }
        if (fields.isEmpty() || fields.values.any { it.isEmpty() }) return answer(activity.getString(R.string.type_first))
        if (task.completes) return write(fields)
        answer(activity.getString(R.string.asking))
        view<Button>(R.id.ask).isEnabled = false
        Asking.of(activity).ask(bundle, run, fields) { answered, problem -> end(answered?.let(::text) ?: text(problem!!)) }
    }

    private fun write(fields: Map<String, String>) {
        isWriting = true
        view<Button>(R.id.ask).setText(R.string.stop)
        // Whoever has the screen read aloud hears the whole, not each word again and again.
        view<View>(R.id.answer).accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_NONE
        answer(activity.getString(R.string.reading_prompt))
        val (asked, of) = run to bundle
        Asking.of(activity).write(of, asked, fields, { showSoon(asked, it) }) { written, problem ->
            end(written?.let(::text) ?: text(problem!!), asked)
        }
    }

    private fun showSoon(asked: String, text: String) {
        if (latest.getAndSet(text) == null) {
            desk.onMain {
                val shown = latest.getAndSet(null)
                if (isWriting && asked == run) answer(shown)
            }
        }
    }

    private fun stop() {
        Asking.of(activity).giveUp()
        view<Button>(R.id.ask).isEnabled = false
    }

    /** Says [text] at the end of what was [asked] for, unless another run is shown by now. */
    private fun end(text: String, asked: String = run) = desk.onMain {
        if (asked != run) return@onMain
        isWriting = false
        offer()
        view<View>(R.id.answer).accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        answer(text)
    }

    private fun offer() {
        view<Button>(R.id.ask).isEnabled = true
        view<Button>(R.id.ask).setText(if (model?.task?.completes == true) R.string.write else R.string.ask)
    }

    private fun text(answered: Answer): String {
        val labels = answered.labels.joinToString("\n") { (label, probability) -> activity.getString(R.string.answer_text, label, PERCENT * probability) }
        return "$labels\n${activity.getString(R.string.answer_steps, answered.steps)}"
    }

    private fun text(written: Written): String {
        val found = written.generated
        val count = found.ids.size
        val text = found.text.ifBlank { activity.getString(R.string.written_nothing) }
        val why = when (found.finish) {
            Finish.STOP -> activity.getString(R.string.written_end)
            Finish.LENGTH -> activity.getString(R.string.written_length, count)
            Finish.CANCELLED -> activity.getString(R.string.written_stopped)
        }
        val speed = activity.getString(R.string.written_speed, count, count / maxOf(found.seconds, LEAST_SECONDS))
        return listOf(text, "", why, speed, activity.getString(R.string.answer_steps, written.steps)).joinToString("\n")
    }

    private fun text(problem: Problem) = "${problem.text(activity)}\n${problem.detail}"

    private fun answer(text: String) {
        view<TextView>(R.id.answer).text = text
        show(R.id.answer, text.isNotEmpty())
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
        const val LEAST_SECONDS = 1e-3
    }
}
