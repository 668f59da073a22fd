package org.seedtune.engine

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings
import org.seedtune.engine.stages.StagePlan

/** Stages that run once for the rows of all calls in flight. */
class TogetherTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `stages that run once for the rows of all calls give Python's bits`() {
        val golden = Golden.file("runs/together")
        val info = Golden.read("runs/together/info.json")
        val bundle = File(info.field("bundle").text)
        val stages = StagePlan.read(File(bundle, StagePlan.FILE)).graphs.getValue("probe")
        assertTrue(stages.drop(1).any { it.together.isNotEmpty() })
        val settings = Settings.of(readJournal(File(golden, "journal.bin")).header.settings)
        val folder = File(temporary.root, "run")
        SeedTune.open(bundle, 1, LIMIT).use {
            it.tune(folder, File(info.field("train").text), settings, File(info.field("eval").text), contexts = File(golden, "contexts"))
        }
        val (python, found) = listOf(golden, folder).map { readJournal(File(it, "journal.bin")).records }
        assertEquals(python, found)
    }

    private companion object {
        const val LIMIT = 3_000_000_000L
    }
}
