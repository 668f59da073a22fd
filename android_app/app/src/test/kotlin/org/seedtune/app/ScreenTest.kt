package org.seedtune.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.content.res.Configuration
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
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
import org.seedtune.app.ScreenLab.controller
import org.seedtune.app.ScreenLab.isShown
import org.seedtune.app.ScreenLab.settled
import org.seedtune.app.ScreenLab.show
import org.seedtune.app.ScreenLab.text
import org.seedtune.app.screen.RunChart
import org.seedtune.engine.SeedTune

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ScreenTest {
    @get:Rule
    val temporary = TemporaryFolder()
    @get:Rule
    val lab = AppLab()

    private fun places(name: String) {
        File(lab.places.bundle(name).also { it.mkdirs() }, "manifest.json").writeText("{}")
    }

    private fun rows(vararg names: String) = names.forEach { lab.places.data(it).writeText("{}\n") }

    @Test
    fun `without a model it says how to get one, and starts nothing`() {
        val activity = activity()
        assertTrue(isShown(activity, R.id.empty))
        assertTrue(text(activity, R.id.empty_text).contains(lab.places.root.path))
        assertFalse(isShown(activity, R.id.start))
        activity.findViewById<View>(R.id.start).performClick()
        assertNull(shadowOf(activity.application).nextStartedService)
        show(activity, Board.status)
        assertEquals(Problem(ProblemKind.NOTHING_CHOSEN).text(activity), text(activity, R.id.problem_text))
    }

    @Test
    fun `start asks the service for what is chosen, in a run of its own`() {
        places("sentiment")
        rows("train.jsonl", "validation.jsonl")
        val activity = activity()
        activity.findViewById<EditText>(R.id.steps).setText("12")
        activity.findViewById<View>(R.id.start).performClick()
        val request = Request.of(shadowOf(activity.application).nextStartedService)!!
        assertEquals("sentiment" to "train.jsonl", request.bundle to request.train)
        // Rows that are named so are for checking.
        assertEquals("validation.jsonl", request.eval)
        assertEquals(12, request.settings.steps)
        assertEquals("sentiment-train", request.run)
        lab.places.run("sentiment-train").mkdirs()
        activity.findViewById<View>(R.id.start).performClick()
        assertEquals("sentiment-train-2", Request.of(shadowOf(activity.application).nextStartedService)!!.run)
    }

    @Test
    fun `what was chosen stays when the phone is turned, darkened or started again`() {
        for (name in listOf("a", "b", "c")) places(name)
        rows("one.jsonl", "two.jsonl", "validation.jsonl")
        val controller = controller()
        val activity = settled(controller.get())
        activity.findViewById<Spinner>(R.id.bundle).setSelection(1)
        activity.findViewById<Spinner>(R.id.train).setSelection(1)
        activity.findViewById<Spinner>(R.id.eval).setSelection(1)
        activity.findViewById<EditText>(R.id.steps).setText("77")
        settled(activity)
        fun chosen(of: Activity) = listOf(R.id.bundle, R.id.train, R.id.eval).map { of.findViewById<Spinner>(it).selectedItem } + text(of, R.id.steps)
        val expected = listOf("b", "two.jsonl", "one.jsonl", "77")
        assertEquals(expected, chosen(activity))
        val turned = Configuration(activity.resources.configuration).also { it.orientation = Configuration.ORIENTATION_LANDSCAPE }
        controller.configurationChange(turned)
        assertEquals(expected, chosen(settled(controller.get())))
        controller.recreate()
        assertEquals(expected, chosen(settled(controller.get())))
        controller.pause().stop().destroy()
        assertEquals(expected, chosen(activity()))
    }

    @Test
    fun `none for checking is a choice that stays as well`() {
        places("a")
        rows("train.jsonl", "validation.jsonl")
        val first = activity()
        assertEquals("validation.jsonl", first.findViewById<Spinner>(R.id.eval).selectedItem)
        first.findViewById<Spinner>(R.id.eval).setSelection(0)
        settled(first)
        assertEquals(0, activity().findViewById<Spinner>(R.id.eval).selectedItemPosition)
    }

    @Test
    fun `each state of the work has its screen, and one button that matters`() {
        places("a")
        rows("train.jsonl")
        val activity = activity()
        assertTrue(isShown(activity, R.id.start))
        for (status in listOf(
            Status.Preparing("run", Phase.CACHING, 3, 9),
            Status.Tuning("run", 3, 9, 0.5, 100.0, MemoryNow(5_000_000, 7_000_000)),
            Status.Paused("run", PauseReason.HOT, 3, 9),
            Status.Stopping("run"),
        )) {
            show(activity, status)
            assertTrue(status.toString(), isShown(activity, R.id.pause))
            assertFalse(isShown(activity, R.id.start) || isShown(activity, R.id.result))
            assertEquals(statusText(activity, status), text(activity, R.id.status))
            assertEquals(status !is Status.Stopping, activity.findViewById<Button>(R.id.stop).isEnabled)
        }
        assertEquals(memoryText(activity, MemoryNow(5_000_000, 7_000_000)), text(activity, R.id.memory))
        show(activity, Status.Importing(1, 2))
        assertTrue(isShown(activity, R.id.importing_stop))
        assertFalse(activity.findViewById<Button>(R.id.start).isEnabled)
        show(activity, Status.Failed(Problem(ProblemKind.IMPORT, "mine.zip: it is cut short")))
        assertTrue(text(activity, R.id.problem_details).contains("cut short"))
    }

    @Test
    fun `a screen reader hears of kinds of work, and not of every step`() {
        val activity = activity()
        val headline = activity.findViewById<TextView>(R.id.headline)
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_POLITE, headline.accessibilityLiveRegion)
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_NONE, activity.findViewById<View>(R.id.status).accessibilityLiveRegion)
        val said = ArrayList<String>()
        headline.addTextChangedListener(object : android.text.TextWatcher {
            override fun afterTextChanged(text: android.text.Editable) {
                said += text.toString()
            }

            override fun beforeTextChanged(text: CharSequence?, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence?, start: Int, before: Int, count: Int) = Unit
        })
        for (step in 1..20) show(activity, Status.Tuning("run", step, 20, 0.5, null, null))
        show(activity, Status.Paused("run", PauseReason.USER, 20, 20))
        assertEquals(listOf(activity.getString(R.string.headline_tuning), activity.getString(R.string.headline_paused)), said)
    }

    @Test
    fun `buttons ask the service for what they say`() {
        val activity = activity()
        fun asked(id: Int): String? {
            activity.findViewById<View>(id).performClick()
            return shadowOf(activity.application).nextStartedService?.action
        }
        show(activity, Status.Tuning("run", 1, 2, 0.5, null, null))
        assertEquals(TuningService.ACTION_PAUSE, asked(R.id.pause))
        show(activity, Status.Paused("run", PauseReason.USER, 1, 2))
        assertEquals(TuningService.ACTION_RESUME, asked(R.id.pause))
        assertEquals(TuningService.ACTION_STOP, asked(R.id.stop))
    }

    @Test
    fun `a file or a folder that is chosen goes to the service, with the right to read it`() {
        Documents.furnish(temporary.root)
        val activity = activity()
        for ((place, action) in listOf(Intent.ACTION_OPEN_DOCUMENT, Intent.ACTION_OPEN_DOCUMENT_TREE).withIndex()) {
            activity.findViewById<View>(R.id.add).performClick()
            shadowOf(ShadowAlertDialog.getLatestDialog() as AlertDialog).clickOnItem(place)
            val asked = shadowOf(activity).nextStartedActivityForResult
            assertEquals(action, asked.intent.action)
            shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_CANCELED, null)
            assertNull(shadowOf(activity.application).nextStartedService)
            shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(Documents.document("x")))
            val sent = shadowOf(activity.application).nextStartedService
            assertEquals(TuningService.ACTION_IMPORT, sent.action)
            assertEquals(place == 1, sent.getBooleanExtra(TuningService.EXTRA_FOLDER, false))
            assertTrue(sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        }
    }

    @Test
    fun `notifications are asked for at the first start and not before`() {
        places("a")
        rows("train.jsonl")
        val activity = activity()
        assertNull(shadowOf(activity).lastRequestedPermission)
        activity.findViewById<View>(R.id.start).performClick()
        assertEquals(listOf("android.permission.POST_NOTIFICATIONS"), shadowOf(activity).lastRequestedPermission.requestedPermissions.toList())
    }

    @Test
    fun `whoever cannot see it hears the chart`() {
        val chart = activity().findViewById<RunChart>(R.id.chart)
        assertFalse(chart.contentDescription.isNullOrEmpty())
        chart.show(listOf(1 to 0.5, 2 to 0.25), listOf(0 to 0.5, 2 to 0.75), 4)
        assertTrue(chart.contentDescription.contains("0.250"))
        assertTrue(chart.contentDescription.contains("75.0"))
    }

    private fun costOf(activity: MainActivity): String? = text(activity, R.id.cost).takeIf { isShown(activity, R.id.cost) }

    @Test
    fun `what contexts come to stands there before a run, and whether the phone can make them`() {
        lab.furnish(ending = "-True")
        lab.places.data("validation.jsonl").delete()
        val bundle = lab.places.bundle("tiny")
        val cost = SeedTune.contextCost(bundle, lab.places.run("tiny-train"), lab.places.data("train.jsonl"))!!
        val activity = activity()
        val size = activity.getString(R.string.cost, cost.rows, cost.bytesPerRow / 1e3, cost.totalBytes / 1e6)
        assertEquals("$size ${activity.getString(R.string.cost_computed, cost.rows)}", costOf(activity))
        for (name in listOf("context.onnx", "context.safetensors")) File(bundle, name).delete()
        bundle.listFiles()!!.filter { it.name.startsWith("context.stage") }.forEach { it.delete() }
        assertEquals("$size ${activity.getString(R.string.cost_desk, cost.rows)}", costOf(activity()))
        File(lab.places.root, "made").copyRecursively(lab.places.contexts, overwrite = true)
        assertEquals("$size ${activity.getString(R.string.cost_nothing)}", costOf(activity()))
    }

    @Test
    fun `where nothing is kept of rows, and where nothing can be read, nothing is said of contexts`() {
        lab.furnish()
        assertNull(costOf(activity()))
        places("tiny")
        assertNull(costOf(activity()))
    }
}
