package org.seedtune.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.TextView
import java.io.File
import java.util.zip.ZipFile
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowAlertDialog
import org.seedtune.app.ScreenLab.activity
import org.seedtune.app.ScreenLab.isShown
import org.seedtune.app.ScreenLab.settled
import org.seedtune.app.ScreenLab.show
import org.seedtune.app.ScreenLab.text
import org.seedtune.app.screen.RunChart
import org.seedtune.engine.SeedTune

/** What a run came to, on the screen, and all that can be done with it. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ResultScreenTest {
    @get:Rule
    val temporary = TemporaryFolder()
    @get:Rule
    val lab = AppLab()

    /** A screen after a run of [steps], which was stopped after [stop] if that is not 0. */
    private fun tuned(steps: Int = 6, stop: Int = 0, ending: String = ""): MainActivity {
        lab.furnish(ending)
        val service = lab.started(lab.intent(lab.request(steps, "validation.jsonl")))
        if (stop > 0) {
            lab.await("a step") { (Board.status as? Status.Tuning)?.step ?: 0 >= stop }
            service.onStartCommand(Intent().setAction(TuningService.ACTION_STOP), 0, 2)
        }
        lab.ended(service)
        return activity(MainActivity.showing(lab.application, "tiny-train"))
    }

    @Test
    fun `a result shows what it came to, is listed, and can be begun anew`() {
        val activity = tuned()
        assertTrue(isShown(activity, R.id.result_accuracy))
        val summary = lab.places.run("tiny-train").let { org.seedtune.engine.run.RunSummary.read(it) }
        assertEquals(accuracyText(activity, summary.accuracyBefore, summary.accuracyAfter), text(activity, R.id.result_accuracy))
        assertTrue(text(activity, R.id.result_facts).contains(activity.getString(R.string.steps_made, 6, 6)))
        assertEquals(activity.getString(R.string.new_run), text(activity, R.id.main))
        activity.findViewById<View>(R.id.main).performClick()
        val again = Request.of(shadowOf(activity.application).nextStartedService)!!
        assertEquals("tiny-train-2", again.run)
        assertEquals(summary.settings, again.settings)
        show(activity.also { it.show(null) }, Status.Idle)
        val item = activity.findViewById<ViewGroup>(R.id.runs).getChildAt(0)
        assertEquals("tiny-train", item.findViewById<TextView>(R.id.run_name).text)
        item.performClick()
        assertTrue(isShown(settled(activity), R.id.result_chart))
    }

    @Test
    fun `a run that was stopped goes on as it was begun, and the chart has its steps after a restart`() {
        val activity = tuned(steps = 60, stop = 3)
        assertEquals(activity.getString(R.string.go_on), text(activity, R.id.main))
        assertTrue(activity.findViewById<RunChart>(R.id.result_chart).contentDescription.contains("0."))
        activity.findViewById<View>(R.id.main).performClick()
        val sent = shadowOf(activity.application).nextStartedService
        assertEquals("tiny-train", sent.getStringExtra(Request.RUN))
        assertEquals(Status.Done("tiny-train", 60, true), (lab.ended(lab.started(sent)) as Status.Done).copy(accuracyBefore = null, accuracyAfter = null))
    }

    @Test
    fun `a run is deleted when somebody says so, and wholly`() {
        val activity = tuned()
        activity.findViewById<View>(R.id.delete).performClick()
        (ShadowAlertDialog.getLatestDialog() as AlertDialog).getButton(AlertDialog.BUTTON_POSITIVE).performClick()
        settled(activity)
        assertFalse(lab.places.run("tiny-train").exists())
        assertTrue(isShown(activity, R.id.choose))
        assertEquals(0, activity.findViewById<ViewGroup>(R.id.runs).childCount)
    }

    @Test
    fun `a run is saved as a zip without the caches of its rows`() {
        val activity = tuned(ending = "causal-suffix-fp16-int8")
        Documents.furnish(temporary.root)
        activity.findViewById<View>(R.id.save).performClick()
        val asked = shadowOf(activity).nextStartedActivityForResult
        assertEquals("tiny-train.zip", asked.intent.getStringExtra(Intent.EXTRA_TITLE))
        shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(Documents.document("saved.zip")))
        settled(activity)
        ZipFile(File(temporary.root, "saved.zip")).use { zip ->
            val names = zip.entries().asSequence().map { it.name }.toList()
            assertTrue(names.toString(), names.containsAll(listOf("tiny-train/journal.bin", "tiny-train/run.json", "tiny-train/steps.jsonl")))
            assertFalse(names.any { "contexts" in it })
        }
    }

    @Test
    fun `a run folder that was edited by hand is listed, explained, and can be deleted`() {
        lab.furnish()
        lab.ended(lab.started(lab.intent(lab.request(3))))
        File(lab.places.run("tiny-train"), "run.json").writeText("{\"format\":")
        Board.show(Status.Idle)
        val activity = activity()
        val item = activity.findViewById<ViewGroup>(R.id.runs).getChildAt(0)
        assertEquals(activity.getString(R.string.run_damaged), item.findViewById<TextView>(R.id.run_facts).text)
        item.performClick()
        settled(activity)
        assertEquals(Problem(ProblemKind.RUN).text(activity), text(activity, R.id.problem_text))
        assertTrue(text(activity, R.id.problem_details).contains("run.json"))
        assertTrue(isShown(activity, R.id.delete))
        assertFalse(activity.findViewById<View>(R.id.main).isEnabled)
    }

    @Test
    fun `a run that a kill interrupted is offered, and may be left`() {
        val activity = tuned(steps = 30, stop = 2)
        Running(lab.places).begin("tiny-train")
        activity.show(null)
        settled(activity)
        assertTrue(isShown(activity, R.id.interrupted_go_on))
        activity.findViewById<View>(R.id.interrupted_go_on).performClick()
        assertEquals("tiny-train", shadowOf(activity.application).nextStartedService.getStringExtra(Request.RUN))
        activity.findViewById<View>(R.id.interrupted_not_now).performClick()
        assertFalse(isShown(activity, R.id.interrupted))
        assertNull(Running(lab.places).run)
    }

    private fun ask(activity: MainActivity, sentence: String): String {
        val fields = activity.findViewById<ViewGroup>(R.id.fields)
        for (place in 0 until fields.childCount) (fields.getChildAt(place) as EditText).setText(sentence)
        activity.findViewById<View>(R.id.ask).performClick()
        lab.await("an answer") { text(activity, R.id.answer) !in listOf("", activity.getString(R.string.asking)) }
        return text(activity, R.id.answer)
    }

    @Test
    fun `a question is answered by the best state, one field a field of the task, from one model`() {
        val activity = tuned(steps = 12)
        val run = lab.places.run("tiny-train")
        val task = org.seedtune.engine.bundle.Manifest.read(lab.places.bundle("tiny")).languageModel.task
        val fields = activity.findViewById<ViewGroup>(R.id.fields)
        assertEquals(task.fields, (0 until fields.childCount).map { (fields.getChildAt(it) as EditText).hint.toString() })
        assertEquals(activity.getString(R.string.type_first), ask(activity, "  "))
        val found = ask(activity, "a good film")
        SeedTune.open(lab.places.bundle("tiny"), 1).use { model ->
            val steps = model.restore(run, best = true)
            assertTrue(found, found.contains(activity.getString(R.string.answer_steps, steps)))
            val probabilities = model.predict(task.fields.associateWith { "a good film" })
            val best = probabilities.indices.maxByOrNull { probabilities[it] }!!
            val label = task.labels[best].let { it.name.ifEmpty { it.word.trim() } }
            assertTrue(found, found.startsWith(activity.getString(R.string.answer_text, label, 100 * probabilities[best])))
        }
        // The model stays open: without its files it still answers.
        lab.places.bundle("tiny").renameTo(File(temporary.root, "away"))
        assertEquals(found, ask(activity, "a good film"))
        Asking.closeShared()
        assertTrue(ask(activity, "a good film").contains(activity.getString(R.string.problem_model)))
    }

    @Test
    fun `whatever a model does when it is asked, the app stays`() {
        for (error in listOf<() -> SeedTune>({ throw OutOfMemoryError("native") }, { throw IllegalArgumentException("a completion task has no labels") })) {
            val asking = Asking(lab.places) { error() }
            var said: Problem? = null
            asking.ask("tiny", "run", mapOf("text" to "x")) { _, problem -> said = problem }
            asking.close()
            assertNotNull(said)
        }
    }
}
