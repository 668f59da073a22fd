package org.seedtune.app

import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.seedtune.app.ScreenLab.activity
import org.seedtune.app.ScreenLab.isShown
import org.seedtune.app.ScreenLab.text
import org.seedtune.engine.SeedTune
import org.seedtune.engine.generation.Finish
import org.seedtune.engine.generation.Generated
import org.seedtune.engine.generation.Prompt

/** A completion task is tuned, and its model writes, as it comes, until it is stopped. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class WritingTest {
    @get:Rule
    val lab = AppLab()

    private fun tuned(): MainActivity {
        lab.furnishWriting()
        val status = lab.ended(lab.started(lab.intent(lab.request(4))))
        assertTrue("$status", status is Status.Done)
        return activity(MainActivity.showing(lab.application, "tiny-train"))
    }

    private fun begin(activity: MainActivity, prompt: String) {
        val fields = activity.findViewById<ViewGroup>(R.id.fields)
        assertEquals(1, fields.childCount)
        (fields.getChildAt(0) as EditText).setText(prompt)
        activity.findViewById<View>(R.id.ask).performClick()
    }

    private fun ended(activity: MainActivity): String {
        lab.await("a text") { text(activity, R.id.ask) == activity.getString(R.string.write) }
        return text(activity, R.id.answer)
    }

    /** What the engine itself writes by the run's best state. */
    private fun expected(prompt: String): Generated = SeedTune.open(lab.places.bundle("tiny"), 1).use { model ->
        model.restore(lab.places.run("tiny-train"), best = true)
        model.generate(Prompt.Row(mapOf("text" to prompt)))
    }

    @Test
    fun `it writes what the engine writes, by the best state, and says how it ended`() {
        val activity = tuned()
        assertFalse(isShown(activity, R.id.cannot_write))
        begin(activity, " ")
        assertEquals(activity.getString(R.string.type_first), text(activity, R.id.answer))
        begin(activity, "a lovely film")
        assertEquals(activity.getString(R.string.stop), text(activity, R.id.ask))
        val found = ended(activity)
        val expected = expected("a lovely film")
        assertTrue(found, found.startsWith(expected.text + "\n\n"))
        val why = if (expected.finish == Finish.STOP) activity.getString(R.string.written_end) else activity.getString(R.string.written_length, expected.ids.size)
        assertTrue(found, why in found)
        assertTrue(found, activity.getString(R.string.answer_steps, 4) in found)
        // What is read aloud is the whole.
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_POLITE, activity.findViewById<View>(R.id.answer).accessibilityLiveRegion)
    }

    @Test
    fun `Stop ends a text, and the same model writes the next`() {
        val activity = tuned()
        begin(activity, "great")
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_NONE, activity.findViewById<View>(R.id.answer).accessibilityLiveRegion)
        // The model is being opened: the word comes before the first token.
        activity.findViewById<View>(R.id.ask).performClick()
        val stopped = ended(activity)
        assertTrue(stopped, activity.getString(R.string.written_stopped) in stopped)
        // The model stays open: without its files it still writes.
        val away = File(lab.places.own, "away")
        lab.places.bundle("tiny").renameTo(away)
        begin(activity, "great")
        val found = ended(activity)
        away.renameTo(lab.places.bundle("tiny"))
        assertTrue(found, found.startsWith(expected("great").text + "\n\n"))
    }

    @Test
    fun `a text grows piece by piece, and closing the model ends it`() {
        tuned()
        val asking = Asking(lab.places) { SeedTune.open(it, 1) }
        val texts = CopyOnWriteArrayList<String>()
        val ends = CountDownLatch(2)
        val finishes = CopyOnWriteArrayList<Finish>()
        asking.write("tiny", "tiny-train", mapOf("text" to "great"), { texts += it }) { written, _ ->
            finishes += written!!.generated.finish
            ends.countDown()
        }
        // Given up at its first piece, on the thread that writes.
        asking.write("tiny", "tiny-train", mapOf("text" to "great"), { asking.giveUp() }) { written, _ ->
            finishes += written!!.generated.finish
            ends.countDown()
        }
        assertTrue(ends.await(AppLab.WAIT_MS, TimeUnit.MILLISECONDS))
        // Whoever asks anew has given the first up.
        assertEquals(listOf(Finish.CANCELLED, Finish.CANCELLED), finishes)
        asking.write("tiny", "tiny-train", mapOf("text" to "great"), { texts += it }) { _, _ -> }
        asking.close()
        var said: Problem? = null
        asking.write("tiny", "tiny-train", mapOf("text" to "great"), {}) { _, problem -> said = problem }
        assertEquals(ProblemKind.BUSY, said!!.kind)
        texts.zipWithNext().forEach { (before, after) -> assertTrue("$before|$after", after.startsWith(before)) }
    }

    @Test
    fun `a model without what writing takes says what to do, and offers nothing`() {
        tuned()
        val manifest = File(lab.places.bundle("tiny"), "manifest.json")
        val fields = JSONObject(manifest.readText())
        fields.getJSONObject("objective").remove("decode")
        manifest.writeText(fields.toString())
        val activity = activity(MainActivity.showing(lab.application, "tiny-train"))
        assertTrue(isShown(activity, R.id.cannot_write))
        assertFalse(isShown(activity, R.id.ask))
        assertEquals(0, activity.findViewById<ViewGroup>(R.id.fields).childCount)
    }
}
