package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.method.replay
import org.seedtune.engine.start.StartFile

/** The states that a RUN folder leads to. */
internal object Restored {
    /**
     * Takes [state], which is zero, to where the journal in [run] leads, or to the [best] evaluation of it.
     *
     * @return the steps it has then; of a run along gradients those of the latest state that was kept.
     * @throws SeedTuneException no journal, or damaged, of another bundle, or with settings that are not of this version.
     */
    fun into(state: State, bundle: Bundle, run: File, best: Boolean): Int {
        val file = File(run, JOURNAL)
        val journal = readJournal(file)
        if (journal.header.bundleSha256 != bundle.sha256 || journal.header.stateParameters != state.parameters) {
            throw SeedTuneException(
                "the run was made with another bundle", file.path, journal.header.bundleSha256, bundle.sha256, "choose the bundle of the run",
            )
        }
        if (journal.header.groups != state.groups) {
            throw SeedTuneException("the journal holds a state for each row, not one for the model", file.path, journal.header.groups, "groups 1")
        }
        val settings = Settings.of(journal.header.settings, file)
        val wanted = if (best) bestOf(run, journal) ?: return 0 else journal
        StartFile.put(run, journal.header.startSha256, bundle.manifest.state, state)
        return replay(settings, wanted, run, state)
    }

    /** [journal] up to the best evaluation, all of it where there is none; null where the untouched model was better than every step. */
    private fun bestOf(run: File, journal: Journal): Journal? {
        val records = HeldOut.read(File(run, RunFolder.EVALUATIONS)).filter { it.step <= journal.steps }
        val best = records.lastOrNull { it.best }
        if (best != null) return journal.until(best.step)
        return if (records.isNotEmpty() && File(run, RunFolder.ZERO_SHOT).isFile) null else journal
    }

    const val JOURNAL = "journal.bin"
}
