package org.seedtune.app

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import android.view.View.MeasureSpec
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import java.io.File
import java.io.FileOutputStream
import java.util.concurrent.TimeUnit
import kotlin.math.exp
import kotlin.math.sin
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowLooper
import org.seedtune.app.screen.RunChart

/**
 * A picture of every state, in both themes and two sizes, in other languages and in large type, for `docs/screens`. With
 * `-Dseedtune.screens=all` all of them are drawn; without, every state once, and of the others those with the most text.
 */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], qualifiers = "w360dp-h740dp-xhdpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class PicturesTest {
    private val places = Places(RuntimeEnvironment.getApplication()).make()
    private val losses = List(180) { it + 1 to 0.38 + 0.32 * exp(-it / 45.0) + 0.05 * sin(it * 1.7) }
    private val accuracies = listOf(0 to 0.786, 50 to 0.842, 100 to 0.861, 150 to 0.869)
    private val states = linkedMapOf(
        "empty" to Status.Idle,
        "choose" to Status.Idle,
        "importing" to Status.Importing(640_000_000, 1_310_000_000),
        "refused" to Status.Failed(Problem(ProblemKind.IMPORT, "sentiment.zip: this cannot be used: '../escaped.jsonl' leads out of the folder it is unpacked to\n  expected: paths that stay inside")),
        "preparing" to Status.Preparing(RUN, Phase.CACHING, 120, 512),
        "tuning" to Status.Tuning(RUN, 180, 300, 0.39, 260.0, MemoryNow(154_000_000, 212_000_000)),
        "paused" to Status.Paused(RUN, PauseReason.HOT, 180, 300),
        "result" to Status.Done(RUN, 300, complete = true, accuracyBefore = 0.786, accuracyAfter = 0.869),
        "writing" to Status.Done(RUN, 300, complete = true),
        "failed" to Status.Failed(Problem(ProblemKind.MODEL, "bundles/smollm2-sentiment/weights.safetensors: a file of the bundle is truncated\n  found: 81234 bytes\n  expected: 141033472 bytes"), RUN),
    )

    @After
    fun forget() = Board.show(Status.Idle)

    private fun furnish() {
        File(places.bundle("smollm2-sentiment").also { it.mkdirs() }, "manifest.json").writeText("{}")
        for (name in listOf("reviews.jsonl", "validation.jsonl")) places.data(name).writeText("")
        val history = History.begin(places.run(RUN))
        for ((step, loss) in losses) history.addLoss(step, loss)
        for ((step, accuracy) in accuracies) history.addAccuracy(step, accuracy)
    }

    private fun settle(activity: MainActivity) = repeat(3) {
        activity.awaitBackground()
        ShadowLooper.idleMainLooper(250, TimeUnit.MILLISECONDS)
    }

    /** A run that was made: its pictures need its figures, not its model. */
    private fun fillResult(activity: MainActivity) {
        activity.findViewById<View>(R.id.result_card).visibility = View.VISIBLE
        activity.findViewById<View>(R.id.problem).visibility = View.GONE
        activity.findViewById<View>(R.id.try_card).visibility = View.VISIBLE
        activity.findViewById<Button>(R.id.main).isEnabled = true
        activity.findViewById<View>(R.id.ask).visibility = View.VISIBLE
        val place = LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
        place.topMargin = (8 * activity.resources.displayMetrics.density).toInt()
        activity.findViewById<ViewGroup>(R.id.fields).addView(EditText(activity, null, 0, R.style.Field).also { it.setText(SENTENCE) }, place)
        activity.findViewById<View>(R.id.answer).visibility = View.VISIBLE
        val answer = listOf(activity.getString(R.string.answer_text, "positive", 97f), activity.getString(R.string.answer_text, "negative", 3f))
        text(activity, R.id.answer, (answer + activity.getString(R.string.answer_steps, 300)).joinToString("\n"))
        text(activity, R.id.result_accuracy, accuracyText(activity, 0.786, 0.869))
        text(activity, R.id.ask, activity.getString(R.string.ask))
        text(activity, R.id.result_facts, facts(activity, 300, 431.0, 0.42))
        activity.findViewById<RunChart>(R.id.result_chart).show(losses.map { (step, loss) -> step * 300 / 180 to loss }, accuracies.map { it.first * 2 to it.second }, 300)
    }

    /** A text that is being written, scrolled to. */
    private fun fillWriting(activity: MainActivity) {
        fillResult(activity)
        activity.findViewById<View>(R.id.result_card).visibility = View.GONE
        text(activity, R.id.ask, activity.getString(R.string.stop))
        (activity.findViewById<ViewGroup>(R.id.fields).getChildAt(0) as EditText).setText(PATIENCE)
        text(activity, R.id.answer, WRITTEN)
    }

    private fun text(activity: MainActivity, id: Int, text: String) {
        activity.findViewById<TextView>(id).text = text
    }

    private fun facts(activity: MainActivity, steps: Int, seconds: Double, wattHours: Double): String =
        listOf(activity.getString(R.string.steps_made, steps, 300), duration(activity, seconds), activity.getString(R.string.energy, wattHours)).joinToString(SEPARATOR)

    /** Two runs, as the list shows them. */
    private fun fillRuns(activity: MainActivity) {
        val list = activity.findViewById<ViewGroup>(R.id.runs)
        list.removeAllViews()
        activity.findViewById<View>(R.id.runs_title).visibility = View.VISIBLE
        for ((name, accuracy, facts) in listOf(
            Triple("$RUN-2", 0.861, facts(activity, 120, 174.0, 0.17)),
            Triple(RUN, 0.869, facts(activity, 300, 431.0, 0.42)),
        )) {
            val item = activity.layoutInflater.inflate(R.layout.run_item, list, false)
            item.findViewById<TextView>(R.id.run_name).text = name
            item.findViewById<TextView>(R.id.run_accuracy).text = accuracyText(activity, 0.786, accuracy)
            item.findViewById<TextView>(R.id.run_facts).text = facts
            list.addView(item)
        }
    }

    private fun pictures(name: String, wanted: Collection<String> = states.keys, isTall: Boolean = false) {
        for (state in wanted) {
            if (state != "empty") furnish()
            val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
            settle(activity)
            Board.show(Status.Preparing(RUN, Phase.OPENING, 0, 0))
            settle(activity)
            Board.show(states.getValue(state))
            settle(activity)
            if (state == "result") fillResult(activity)
            if (state == "writing") fillWriting(activity)
            if (state == "choose") fillRuns(activity)
            if (state == "empty") text(activity, R.id.empty_text, activity.getString(R.string.empty_text, "/sdcard/Android/data/org.seedtune.app/files"))
            picture(activity, "$state-$name", isTall)
            Board.show(Status.Idle)
        }
    }

    private fun picture(activity: Activity, name: String, isTall: Boolean, scrolled: Int = R.id.scroll) {
        val view = activity.window.decorView
        val metrics = activity.resources.displayMetrics
        val width = metrics.widthPixels
        fun layOut(height: Int) {
            view.measure(MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY), MeasureSpec.makeMeasureSpec(height, MeasureSpec.EXACTLY))
            view.layout(0, 0, width, height)
        }
        layOut(metrics.heightPixels)
        val content = activity.findViewById<ViewGroup>(scrolled)
        val height = if (isTall) maxOf(metrics.heightPixels, content.getChildAt(0).height + metrics.heightPixels - content.height) else metrics.heightPixels
        layOut(height)
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(bitmap))
        val file = File("target/screens/$name.png").also { it.parentFile!!.mkdirs() }
        FileOutputStream(file).use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        val pixels = IntArray(width * height).also { bitmap.getPixels(it, 0, width, 0, 0, width, height) }
        val colours = pixels.toSet()
        assertTrue("$name: ${colours.size} colours", colours.size > 10)
        requireReadable(content, width)
    }

    private fun licences(name: String) {
        val activity = Robolectric.buildActivity(LicencesActivity::class.java).setup().get()
        activity.show(LICENCES)
        picture(activity, "licences-$name", isTall = false, R.id.licences_list)
    }

    /** No text is cut off, none reaches beyond the screen, and what can be pressed is large enough to be. */
    private fun requireReadable(view: View, width: Int) {
        if (view.visibility != View.VISIBLE) return
        if (view is TextView && view.layout != null) {
            assertEquals("'${view.text}' is cut", 0, (0 until view.lineCount).sumOf { view.layout.getEllipsisCount(it) })
            val widest = (0 until view.lineCount).maxOfOrNull { view.layout.getLineMax(it) } ?: 0f
            assertTrue("'${view.text}' is too wide", widest <= view.width + 1 && view.width <= width)
        }
        val isText = (view as? TextView)?.isTextSelectable == true
        if (view.isClickable && !isText && view.isEnabled && view.height > 0) {
            val least = (LEAST_DP * view.resources.displayMetrics.density).toInt()
            assertTrue("$view is ${view.height} high", view.height >= least)
        }
        if (view is ViewGroup) for (place in 0 until view.childCount) requireReadable(view.getChildAt(place), width)
    }

    private fun Collection<String>.orFew() = if (System.getProperty("seedtune.screens") == "all") this else FEW

    @Test
    fun `every state in the light`() {
        pictures("light")
        licences("light")
    }

    @Test
    @Config(qualifiers = "+night")
    fun `every state in the dark`() {
        pictures("dark", states.keys.orFew())
        licences("dark")
    }

    @Test
    @Config(qualifiers = "w800dp-h1280dp-mdpi")
    fun `every state on a tablet`() = pictures("tablet-light", states.keys.orFew())

    @Test
    @Config(qualifiers = "w800dp-h1280dp-night-mdpi")
    fun `every state on a tablet in the dark`() = pictures("tablet-dark", states.keys.orFew())

    @Test
    @Config(qualifiers = "+de")
    fun `in German`() = pictures("german", SOME.orFew())

    @Test
    @Config(qualifiers = "+zh")
    fun `in Chinese`() = pictures("chinese", SOME.orFew())

    @Test
    @Config(qualifiers = "+ar-ldrtl")
    fun `in Arabic, from right to left`() {
        pictures("arabic", SOME.orFew())
        licences("arabic")
    }

    @Test
    @Config(fontScale = 1.8f)
    fun `in large type`() = pictures("large", SOME.orFew(), isTall = true)

    private companion object {
        const val RUN = "smollm2-sentiment-reviews"
        const val LEAST_DP = 48
        const val SENTENCE = "A film well worth seeing."
        const val PATIENCE = "Patience"
        const val WRITTEN = "n. A minor form of despair, disguised as a"
        val LICENCES = """
            SeedTune contains the following software of others.

            org.jetbrains.kotlin:kotlin-stdlib 2.0.21
            Copyright JetBrains s.r.o. and Kotlin Programming Language contributors
            Licence: Apache-2.0

            com.microsoft.onnxruntime:onnxruntime-android 1.26.0
            Copyright Microsoft Corporation
            Licence: MIT
        """.trimIndent()
        val FEW = listOf("choose", "result")
        val SOME = listOf("choose", "tuning", "result", "writing")
    }
}
