package org.seedtune.engine

import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.seedtune.engine.graph.State
import org.seedtune.engine.graph.Update
import org.seedtune.engine.graph.UpdateGraph
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.tuning.optimizer.NormalisedSettings

/** A journal of several states, moved by the same noise, that Python wrote: a golden folder `grouped`. */
class GroupedTest {
    private val info by lazy {
        assumeTrue("no golden files of groups", Golden.file("grouped").isDirectory)
        Golden.read("grouped/info.json")
    }
    private val groups get() = info.field("groups").jsonPrimitive.int
    private val parameters get() = info.field("parameters").jsonPrimitive.int

    private fun replayed(journal: Journal, update: Update): String =
        State(update, journal.header.stateParameters, journal.header.groups).use { state ->
            NormalisedSettings().build(journal.steps).use { it.move(state, journal.seeds(), journal.coefficients()) }
            state.sha256()
        }

    @Test
    fun `its replay ends in Python's state, by the graph and by plain additions`() {
        val expected = info.field("state_sha256").text
        val journal = readJournal(Golden.file("grouped/journal.bin"))
        assertEquals(groups, journal.header.groups)
        assertEquals(parameters, journal.header.stateParameters)
        assertTrue(journal.header.recordsPerStep > 1 && journal.records.size > journal.header.recordsPerStep)
        assertEquals(expected, UpdateGraph(Golden.file("grouped/update.onnx")).use { replayed(journal, it) })
        assertEquals(expected, replayed(journal, plainUpdate))
    }
}
