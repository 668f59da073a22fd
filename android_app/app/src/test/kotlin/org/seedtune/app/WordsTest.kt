package org.seedtune.app

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import java.io.File
import java.io.IOException
import javax.xml.parsers.DocumentBuilderFactory
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowActivityManager
import org.seedtune.engine.SeedTuneException

/** What the app says: in every language the same, and of every trouble what it is. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class WordsTest {
    private fun words(language: String): Map<String, String> {
        val file = File("src/main/res/values$language/strings.xml")
        val nodes = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getElementsByTagName("string")
        return (0 until nodes.length).map { nodes.item(it) }.filter { it.attributes.getNamedItem("translatable") == null }
            .associate { it.attributes.getNamedItem("name").nodeValue to it.textContent }
    }

    @Test
    fun `every language has every word, with the same places for numbers`() {
        val english = words("")
        assertTrue(english.size > 90)
        for (language in listOf("-de", "-zh", "-ar")) {
            val words = words(language)
            assertEquals(language, english.keys, words.keys)
            for ((name, text) in english) assertEquals("$language $name", places(text), places(words.getValue(name)))
        }
    }

    private fun places(text: String) = Regex("%[0-9]\\$[,.0-9]*[a-z]").findAll(text).map { it.value }.toSortedSet().toList()

    @Test
    @Config(qualifiers = "ar")
    fun `times and sizes are said in the phone's language`() {
        val context = RuntimeEnvironment.getApplication()
        for (status in listOf(Status.Tuning("run", 3, 10, 0.5, 4000.0, null), Status.Importing(5_000_000, 9_000_000))) {
            assertTrue(statusText(context, status).any { Character.UnicodeBlock.of(it) == Character.UnicodeBlock.ARABIC })
        }
    }

    @Test
    fun `a trouble is known by what it names and what it came from`() {
        val places = Places(File("/own"), File("/shared"))
        fun kind(error: Throwable) = Problem.of(error, places).kind
        assertEquals(ProblemKind.MODEL, kind(SeedTuneException("altered", "/own/bundles/a/probe.onnx")))
        assertEquals(ProblemKind.ROWS, kind(SeedTuneException("no text", "/shared/data/train.jsonl:3")))
        assertEquals(ProblemKind.RUN, kind(SeedTuneException("other settings", "/own/runs/a")))
        assertEquals(ProblemKind.STORAGE, kind(SeedTuneException("the log cannot be written (No space left on device)", "/own/runs/a/steps.jsonl")))
        assertEquals(ProblemKind.STORAGE, kind(SeedTuneException("it could not be copied", cause = IOException("write failed: ENOSPC"))))
        assertEquals(ProblemKind.MEMORY, kind(OutOfMemoryError("heap")))
        assertEquals(ProblemKind.MEMORY, kind(SeedTuneException("the memory limit is too small for this bundle and these rows")))
        assertEquals(ProblemKind.OTHER, kind(IllegalStateException("?")))
        assertEquals("data/train.jsonl:3: no text", Problem.of(SeedTuneException("no text", "/shared/data/train.jsonl:3"), places).detail)
    }

    @Test
    fun `an exit is known by reason, signal or description`() {
        assertEquals(R.string.exit_memory, exitReason(ApplicationExitInfo.REASON_LOW_MEMORY, 0, null))
        assertEquals(R.string.exit_memory, exitReason(17, 0, null))
        assertEquals(R.string.exit_memory, exitReason(ApplicationExitInfo.REASON_SIGNALED, 9, null))
        assertEquals(R.string.exit_crash, exitReason(ApplicationExitInfo.REASON_SIGNALED, 11, null))
        assertEquals(R.string.exit_memory, exitReason(ApplicationExitInfo.REASON_OTHER, 0, "MemoryLimiter:AnonSwap"))
        assertNull(exitReason(ApplicationExitInfo.REASON_OTHER, 0, "isolated not needed"))
        assertNull(exitReason(ApplicationExitInfo.REASON_EXIT_SELF, 0, null))
    }

    @Test
    fun `an exit is told only if it came after the run began`() {
        val context = RuntimeEnvironment.getApplication()
        val activities = shadowOf(context.getSystemService(ActivityManager::class.java))
        val exit = ShadowActivityManager.ApplicationExitInfoBuilder.newBuilder().setReason(ApplicationExitInfo.REASON_LOW_MEMORY).setTimestamp(5_000)
        activities.addApplicationExitInfo(exit.build())
        assertEquals(context.getString(R.string.exit_memory), lastExit(context, 4_000))
        assertNull(lastExit(context, 6_000))
    }
}
