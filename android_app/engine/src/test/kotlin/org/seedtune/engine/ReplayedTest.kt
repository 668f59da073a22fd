package org.seedtune.engine

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings

/** Runs by estimators that only Python has: what their journals lead to is the same here, and no step is made. */
class ReplayedTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `a journal leads to Python's state, and its rows can be evaluated`() {
        for (name in Golden.read("replayed.json").items.map { it.text }) {
            val run = Golden.file("replayed/$name")
            val info = Golden.read("replayed/$name/info.json")
            SeedTune.open(File(info.field("bundle").text), 1).use {
                val steps = readJournal(File(run, "journal.bin")).steps
                assertEquals(steps, it.restore(run))
                assertEquals(name, info.field("state_sha256").text, it.stateSha256)
                assertTrue(it.evaluate(File(info.field("eval").text)).loss.isFinite())
            }
        }
    }

    @Test
    fun `to go on with one, or to begin one, is refused by name before anything is written`() {
        for (name in Golden.read("replayed.json").items.map { it.text }) {
            val run = Golden.file("replayed/$name")
            val info = Golden.read("replayed/$name/info.json")
            val settings = Settings.of(readJournal(File(run, "journal.bin")).header.settings)
            val begun = File(temporary.root, name).also { run.copyRecursively(it) }
            val fresh = File(temporary.root, "fresh-$name")
            for (folder in listOf(begun, fresh)) {
                SeedTune.open(File(info.field("bundle").text), 1).use {
                    val error = assertThrows(SeedTuneException::class.java) { it.tune(folder, File(info.field("train").text), settings) }
                    assertTrue(error.value.toString(), name.replace('-', '_') in error.value.toString())
                    assertTrue("Python" in error.remedy!!)
                }
            }
            assertFalse(fresh.exists())
            assertTrue(File(run, "journal.bin").readBytes().contentEquals(File(begun, "journal.bin").readBytes()))
        }
    }
}
