package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.FeatureHeads
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.graph.State
import org.seedtune.engine.heads.HeadRows

/** A run of a bundle of heads, which brings its rows. */
internal class HeadTuning private constructor(private val bundle: Bundle, private val rows: HeadRows) {
    /** As [org.seedtune.engine.SeedTune.tune]; [state] is zero, which is the identity, or the heads as they were exported. */
    fun tune(
        run: File, settings: Settings, state: State, graphs: Graphs, interruption: Interruption, onEvent: (TuningEvent) -> Boolean,
        tell: (TuningEvent) -> Unit,
    ): RunResult {
        val exam = rows.exam()
        if (exam.feeder.size == 0) {
            throw SeedTuneException("no row has a positive, so there is nothing to learn from", rows.file.path, remedy = "export the features again")
        }
        val learnt = Split.of(rows.file, rows.sha256, List(exam.feeder.size) { 0 }, IntArray(1))
        val kept = exam.heldOut.takeIf { it.isNotEmpty() }?.let { Split.of(rows.file, rows.sha256, it.toList(), rows.labels) }
        val resolved = if (settings.rowsPerCall > 0) settings else settings.copy(rowsPerCall = Settings.ROWS_PER_CALL)
        return RunFolder(run).use { folder ->
            val evaluation = kept?.let { split -> HeldOut(folder, split, resolved, tell) { at, advance -> exam.evaluate(graphs, at, advance) } }
            Run(folder, bundle, resolved, learnt, exam.feeder, kept, evaluation, state, graphs, null, interruption, tell).use { it.execute(onEvent) }
        }
    }

    companion object {
        /** @throws SeedTuneException [bundle] is one of a language model, its rows are damaged, or there is a limit of [memoryLimitBytes]. */
        fun of(bundle: Bundle, memoryLimitBytes: Long?): HeadTuning {
            val heads = when (val objective = bundle.manifest.objective) {
                is FeatureHeads -> objective
                is LanguageModel -> throw SeedTuneException(
                    "this bundle is one of a language model, and brings no rows", bundle.folder.path, rule = "rows to learn from", remedy = "name a file of them",
                )
            }
            if (memoryLimitBytes != null) {
                throw SeedTuneException(
                    "a bundle of heads has no weights to stream", bundle.folder.path, "$memoryLimitBytes bytes", "no memory limit", "leave the memory limit out",
                )
            }
            return HeadTuning(bundle, HeadRows(bundle, heads))
        }
    }
}
