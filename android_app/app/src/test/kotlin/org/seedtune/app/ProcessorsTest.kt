package org.seedtune.app

import android.content.Context
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.seedtune.app.screen.ChooseScreen
import org.seedtune.engine.run.TuningEvent

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ProcessorsTest {
    @get:Rule
    val temporary = TemporaryFolder()

    /** A phone whose processors have these speeds, in kHz; 0 for one that does not tell. */
    private fun phone(vararg speeds: Int): Processors {
        val root = temporary.newFolder()
        speeds.forEachIndexed { place, speed ->
            val folder = File(root, "cpu$place/cpufreq").also { it.mkdirs() }
            if (speed > 0) File(folder, "cpuinfo_max_freq").writeText("$speed\n")
        }
        File(root, "cpufreq").mkdir()
        return Processors.read(root, speeds.size)
    }

    @Test
    fun `the slowest cluster is left out where the others are half of all`() {
        // As of a Snapdragon 8 Gen 1, a Tensor G3, an Exynos of two equal clusters, and one kind only.
        assertEquals(listOf(4), phone(1785600, 1785600, 1785600, 1785600, 2496000, 2496000, 2496000, 2995200).candidates)
        assertEquals(listOf(5), phone(1704000, 1704000, 1704000, 1704000, 2367000, 2367000, 2367000, 2367000, 2914000).candidates)
        assertEquals(listOf(4), phone(1950000, 1950000, 1950000, 1950000, 2730000, 2730000, 2730000, 2730000).candidates)
        assertEquals(listOf(8), phone(*IntArray(8) { 2000000 }).candidates)
    }

    @Test
    fun `where it is in doubt there are two candidates`() {
        assertEquals(listOf(2, 8), phone(1804800, 1804800, 1804800, 1804800, 1804800, 1804800, 2208000, 2208000).candidates)
        assertEquals(listOf(2, 4), phone(1000000, 1000000, 1000000, 2000000).candidates)
        assertEquals(listOf(4, 8), phone(*IntArray(8)).candidates)
        assertEquals(listOf(2), phone(0, 0).candidates)
    }

    @Test
    fun `a phone in doubt is measured once by three steps, and nothing of that stays`() {
        val lab = AppLab().furnish("causal-suffix-fp16-int8")
        val kept = lab.application.getSharedPreferences("threads", Context.MODE_PRIVATE)
        val tried = ArrayList<TuningEvent>()
        val choice = ThreadChoice(Processors(listOf(1, 3), 4), kept, lab.places.trial)
        val request = lab.request(3).copy(threads = null)
        fun threads(more: Request = request, recorded: Int? = null) =
            choice.threads(more, recorded, lab.places.bundle("tiny"), lab.places.data("train.jsonl"), null, lab.places.contexts) { tried.add(it) }
        val found = threads()
        assertTrue(found.toString(), found in listOf(2, 4))
        assertEquals(2 * 3, tried.count { it is TuningEvent.Step })
        assertFalse(lab.places.trial.exists())
        tried.clear()
        assertEquals(found, threads())
        assertEquals(0, tried.size)
        assertEquals(7, threads(request.copy(threads = 7)))
        assertEquals(3, threads(recorded = 3))
    }

    @Test
    fun `a processor that multiplies int8 coarsely is known by its flags`() {
        val information = temporary.newFile().also { it.writeText("flags\t\t: fpu avx2 avx512_vnni\n") }
        assertFalse(ChooseScreen.isCoarseProcessor("x86_64", information))
        information.writeText("flags\t\t: fpu avx2\n")
        assertTrue(ChooseScreen.isCoarseProcessor("x86_64", information))
        assertFalse(ChooseScreen.isCoarseProcessor("arm64-v8a", information))
        assertFalse(ChooseScreen.isCoarseProcessor("x86_64", File(temporary.root, "absent")))
    }
}
