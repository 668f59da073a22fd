package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.graph.State
import org.seedtune.engine.stages.FittingGraphs
import org.seedtune.engine.stages.StreamedGraphs
import org.seedtune.engine.task.CompiledTask

/** A run of a language model, over rows of text. */
internal class TextTuning(
    private val bundle: Bundle, private val task: CompiledTask, private val sources: RowSources, private val fitting: FittingGraphs,
) {
    /**
     * As [org.seedtune.engine.SeedTune.tune]; [state] is zero, which is the untouched model.
     *
     * @param train the file of rows to learn from, [heldOut] of those to evaluate on.
     * @param onEvent false ends the run cleanly; [tell] ends it before it has a state, by throwing.
     */
    fun tune(
        run: File, train: File, settings: Settings, state: State, heldOut: File?, cacheContexts: Boolean, contexts: File?,
        onEvent: (TuningEvent) -> Boolean,
        tell: (TuningEvent) -> Unit,
    ): RunResult {
        val learnt = split(train, tell)
        val kept = heldOut?.let { split(it, tell) }
        val examples = learnt.examples + kept?.examples.orEmpty()
        return RunFolder(run).use { folder ->
            val rowsPerCall = settings.rowsPerCall.takeIf { it > 0 } ?: folder.recordedSettings()?.rowsPerCall
            fitting.of(examples, settings.batchSize, cacheContexts, rowsPerCall, settings).use { graphs ->
                val limited = graphs as? StreamedGraphs
                val resolved = settings.copy(rowsPerCall = rowsPerCall ?: limited?.let { 2 * it.choice.tokensPerCall } ?: Settings.ROWS_PER_CALL)
                limited?.let { tell(TuningEvent.KeepingToLimit(it.choice.limitBytes, it.choice.expectedBytes, resolved.rowsPerCall)) }
                val cache = if (cacheContexts) File(run, CONTEXTS) else null
                sources.feeding(graphs, learnt.examples, Source("train", learnt, contexts, cache), tell) { feeder ->
                    sources.feeding(graphs, kept?.examples.orEmpty(), Source("eval", kept, contexts, cache), tell) { keptFeeder ->
                        val evaluation = kept?.let { split ->
                            HeldOut(folder, split, resolved, tell) { at, advance ->
                                // The session lives for one evaluation only: between two, its memory is the probe's to use.
                                Evaluator(bundle, graphs).use { it.evaluate(at, keptFeeder, resolved.rowsPerCall, advance) }
                            }
                        }
                        val limit = fitting.memoryLimitBytes
                        Run(folder, bundle, resolved, learnt, feeder, kept, evaluation, state, graphs, limit, fitting.interruption, tell)
                            .use { it.execute(onEvent) }
                    }
                }
            }
        }
    }

    private fun split(file: File, tell: (TuningEvent) -> Unit) =
        Split.load(file, task) { done, of -> if (done % ROWS_TOLD == 0) tell(TuningEvent.ReadingRows(done, of)) }

    companion object {
        /** In the folder of a run, the caches that it keeps. */
        const val CONTEXTS = "contexts"
        private const val ROWS_TOLD = 64
    }
}
