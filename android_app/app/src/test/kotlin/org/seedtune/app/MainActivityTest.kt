package org.seedtune.app

import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import android.view.View.MeasureSpec
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import java.io.File
import java.io.FileOutputStream
import kotlin.math.exp
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.seedtune.engine.SeedTune

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], qualifiers = "w360dp-h740dp-xhdpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class MainActivityTest {
    private val states = mapOf(
        "idle" to Status.Idle,
        "copying" to Status.Copying(640_000_000, 1_310_000_000),
        "caching" to Status.Preparing(120, 512),
        "tuning" to Status.Tuning(120, 300, List(120) { 0.35 + 0.4 * exp(-it / 40.0) + 0.05 * kotlin.math.sin(it * 1.7) }, 154_000_000),
        "paused" to Status.Paused(PauseReason.HOT, 120, 300),
        "done" to Status.Done(300, complete = true, accuracy = 0.875),
        "failed" to Status.Failed("weights.safetensors: a file of the bundle is truncated\n  try: export the bundle again, or copy it again"),
    )

    @After
    fun forget() = Board.show(Status.Idle)

    private fun activity(): MainActivity = Robolectric.buildActivity(MainActivity::class.java).setup().get()

    private fun furnish() {
        val places = Places(RuntimeEnvironment.getApplication()).make()
        File(places.bundle("smollm2-sentiment").also { it.mkdirs() }, "manifest.json").writeText("{}")
        for (name in listOf("train.jsonl", "validation.jsonl")) places.data(name).writeText("")
    }

    private fun picture(name: String) {
        furnish()
        for ((state, status) in states) {
            val activity = activity()
            if (state != "idle") Board.show(Status.Tuning(120, 300, (states.getValue("tuning") as Status.Tuning).losses, 154_000_000))
            Board.show(status)
            shadowOf(activity.mainLooper).idle()
            val view = activity.window.decorView
            val width = activity.resources.displayMetrics.widthPixels
            val height = activity.resources.displayMetrics.heightPixels
            view.measure(MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY), MeasureSpec.makeMeasureSpec(height, MeasureSpec.EXACTLY))
            view.layout(0, 0, width, height)
            val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
            view.draw(Canvas(bitmap))
            val file = File("target/screens/$state-$name.png").also { it.parentFile!!.mkdirs() }
            FileOutputStream(file).use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
            val colours = (0 until height step 3).flatMap { y -> (0 until width step 3).map { x -> bitmap.getPixel(x, y) } }.toSet()
            assertTrue("$state: ${colours.size} colours", colours.size > 10)
            Board.show(Status.Idle)
        }
    }

    @Test
    fun `every state has a picture`() = picture("light")

    @Test
    @Config(qualifiers = "+night")
    fun `every state has a picture in the dark`() = picture("dark")

    @Test
    @Config(qualifiers = "+de")
    fun `every state has a picture in German`() = picture("german")

    @Test
    fun `buttons are there when they can do something`() {
        val activity = activity()
        val enabled = { id: Int -> activity.findViewById<Button>(id).isEnabled }
        for ((name, status) in states) {
            Board.show(status)
            shadowOf(activity.mainLooper).idle()
            val working = name in listOf("copying", "caching", "tuning", "paused")
            assertEquals(name, !working, enabled(R.id.start))
            assertEquals(name, !working, enabled(R.id.add_bundle))
            assertEquals(name, working, enabled(R.id.stop))
            assertEquals(name, name == "tuning" || name == "paused", enabled(R.id.pause))
        }
    }

    @Test
    fun `start asks the service for what is chosen`() {
        furnish()
        val activity = activity()
        activity.findViewById<EditText>(R.id.steps).setText("12")
        activity.findViewById<View>(R.id.start).performClick()
        val request = Request.of(shadowOf(activity.application).nextStartedService)!!
        assertEquals("smollm2-sentiment" to "train.jsonl", request.bundle to request.train)
        assertEquals(12, request.settings.steps)
        assertNull(request.eval)
        assertEquals("smollm2-sentiment-train", request.run)
    }

    @Test
    fun `without a bundle it says where to push one, and starts nothing`() {
        val activity = activity()
        assertTrue(activity.findViewById<TextView>(R.id.hint).text.contains(Places(activity).root.path))
        activity.findViewById<View>(R.id.start).performClick()
        assertNull(shadowOf(activity.application).nextStartedService)
        assertEquals(activity.getString(R.string.failed, activity.getString(R.string.nothing_named)), activity.findViewById<TextView>(R.id.status).text.toString())
    }

    private fun costOf(activity: MainActivity): String? {
        activity.costing!!.join(60_000)
        shadowOf(activity.mainLooper).idle()
        return activity.findViewById<TextView>(R.id.cost).takeIf { it.visibility == View.VISIBLE }?.text?.toString()
    }

    @Test
    fun `what contexts come to stands there before a run, and whether the phone can make them`() {
        val lab = AppLab().furnish(ending = "-True")
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
        AppLab().furnish()
        assertNull(costOf(activity()))
        furnish()
        assertNull(costOf(activity()))
    }

    @Test
    fun `whoever cannot see it hears the loss`() {
        val chart = activity().findViewById<LossChart>(R.id.chart)
        assertFalse(chart.contentDescription.isNullOrEmpty())
        chart.losses = listOf(0.5, 0.25)
        assertTrue(chart.contentDescription.contains("0.250"))
    }
}
