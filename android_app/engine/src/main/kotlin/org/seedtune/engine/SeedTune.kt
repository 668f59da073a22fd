package org.seedtune.engine

import java.io.Closeable
import java.io.File
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.context.ContextCost
import org.seedtune.engine.data.Example
import org.seedtune.engine.evaluation.Evaluation
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.generation.Generated
import org.seedtune.engine.generation.Generator
import org.seedtune.engine.generation.Prompt
import org.seedtune.engine.generation.Sampling
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.graph.State
import org.seedtune.engine.graph.UpdateGraph
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Caches
import org.seedtune.engine.run.HeadTuning
import org.seedtune.engine.run.Restored
import org.seedtune.engine.run.RowSources
import org.seedtune.engine.run.RunResult
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.Source
import org.seedtune.engine.run.Split
import org.seedtune.engine.run.TextTuning
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.stages.DesktopPlatform
import org.seedtune.engine.stages.FittingGraphs
import org.seedtune.engine.stages.Platform
import org.seedtune.engine.stages.StreamedGraphs
import org.seedtune.engine.task.CompiledTask

/**
 * A bundle on this device, to be tuned and asked. One thread at a time may use it, and any thread may [stop] that one.
 *
 *     SeedTune.open(File("bundle")).use { model ->
 *         model.tune(File("run"), File("train.jsonl"), Settings(steps = 100)) { true }
 *         println(model.predict(mapOf("text" to "A film well worth seeing.")))
 *     }
 */
class SeedTune private constructor(
    val bundle: Bundle,
    threads: Int,
    private val memoryLimitBytes: Long?,
    platform: Platform,
) : Closeable {
    private val compiled = lazy { bundle.compiledTask() }
    private val task: CompiledTask get() = compiled.value
    private val sources = RowSources(bundle, Caches(bundle))
    private val update = UpdateGraph(bundle.graph("update"))
    private val state = State(update, bundle.manifest.state.parameters)
    private val interruption = Interruption()
    private val fitting = FittingGraphs(bundle, threads, memoryLimitBytes, platform, interruption)
    private val evaluator = lazy { Evaluator(bundle, fitting.mapped) }
    private val generator = lazy { Generator.open(bundle, task, threads, memoryLimitBytes, interruption) }
    private var tuned = false

    /** SHA-256 of the state as it is now. */
    val stateSha256: String get() = state.sha256()

    /**
     * Tunes the model on the rows of [train], or goes on with the run that [run] holds.
     * @param run the RUN folder, made if it is not there; its files are those of the Python runtime.
     * @param heldOut rows to evaluate on while tuning.
     * @param cacheContexts whether a bundle of scope "suffix" keeps the contexts of rows in [run].
     * @param contexts a folder of caches that were made elsewhere: what is in them is not computed here. A bundle without its host
     * files computes none.
     * @param onEvent told how far it is, in every part of the work; false ends the run cleanly, to be resumed later.
     * @throws SeedTuneException anything the user can put right; what the journal holds is kept.
     */
    fun tune(
        run: File,
        train: File,
        settings: Settings,
        heldOut: File? = null,
        cacheContexts: Boolean = true,
        contexts: File? = null,
        onEvent: (TuningEvent) -> Boolean = { true },
    ): RunResult {
        return tuning(run, settings, onEvent) { goesOn, tell ->
            TextTuning(bundle, task, sources, fitting).tune(run, train, settings, state, heldOut, cacheContexts, contexts, goesOn, tell)
        }
    }

    /**
     * Tunes the heads of a bundle that brings its rows, or goes on with the run that [run] holds; as [tune] otherwise.
     *
     * @throws SeedTuneException the bundle is one of a language model, or there is a memory limit; or anything else the user can put right.
     */
    fun tune(run: File, settings: Settings, onEvent: (TuningEvent) -> Boolean = { true }): RunResult {
        return tuning(run, settings, onEvent) { goesOn, tell ->
            HeadTuning.of(bundle, memoryLimitBytes).tune(run, settings, state, fitting.mapped, interruption, goesOn, tell)
        }
    }

    /** What [work] makes of a run, told the events of which [stop] or [onEvent] can make the last. */
    private fun tuning(
        run: File, settings: Settings, onEvent: (TuningEvent) -> Boolean, work: ((TuningEvent) -> Boolean, (TuningEvent) -> Unit) -> RunResult,
    ): RunResult {
        settings.check()
        settings.requireMade()
        check(!tuned) { "this model has been tuned: open the bundle again for another run" }
        bundle.requireGraph(settings.estimator.graph)
        tuned = true
        val goesOn = { event: TuningEvent -> !interruption.wanted && onEvent(event) && !interruption.wanted }
        return try {
            work(goesOn) { if (!goesOn(it)) throw StoppedException() }
        } catch (_: StoppedException) {
            // Before the run had a state.
            RunResult(stepsOf(run), true, null, null, null)
        }
    }

    /**
     * Takes the state that the journal in [run] leads to, by the optimizer that it names; of a run along gradients the latest that was
     * kept.
     *
     * @param best the state with the lowest held-out loss instead, which may be the untouched model; the last one where none was evaluated.
     * @return the steps it has.
     * @throws SeedTuneException no journal, or damaged, of another bundle, or with settings that are not of this version.
     */
    fun restore(run: File, best: Boolean = false): Int {
        check(!tuned) { "this model has a state already: open the bundle again" }
        tuned = true
        return Restored.into(state, bundle, run, best)
    }

    /** Ends what another thread has this model do, in mid-call if need be; afterwards the model can only be closed. */
    fun stop() = interruption.want()

    /** Loss and accuracy of the rows of [data] by the state as it is now; [contexts] as of [tune]. */
    fun evaluate(data: File, tokensPerCall: Int = Settings.ROWS_PER_CALL, contexts: File? = null): Evaluation {
        val split = Split.load(data, task)
        return evaluate(split.examples, tokensPerCall, Source(data.nameWithoutExtension, split, contexts))
    }

    /** The probability of each label for a row, in the order of the task's labels, by the state as it is now; [contexts] as of [tune]. */
    fun predict(fields: Map<String, String>, contexts: File? = null): List<Float> {
        require(!bundle.manifest.languageModel.task.completes) { "a completion task has no labels" }
        return evaluate(listOf(Example(task.encode(fields), 0)), Settings.ROWS_PER_CALL, Source("rows", null, contexts)).probabilities!!.single().toList()
    }

    /**
     * A text that goes on with [prompt], by the state as it is now, which acts where its reach says.
     *
     * @param maxTokens of what is generated, at most; [stops] texts in front of which it ends.
     * @param onPiece told after each token what of the text is certain since, which may be nothing; false ends it there.
     * @throws SeedTuneException the bundle cannot generate, there is a memory limit, the prompt does not fit, or an option is out of range.
     * @throws StoppedException by [stop].
     */
    fun generate(
        prompt: Prompt,
        maxTokens: Int = MAX_TOKENS,
        sampling: Sampling = Sampling(),
        stops: List<String> = emptyList(),
        onPiece: (String) -> Boolean = { true },
    ): Generated {
        return generator.value.generate(prompt, state.tensor, maxTokens, sampling, stops, onPiece)
    }

    private fun stepsOf(run: File): Int = File(run, Restored.JOURNAL).let { if (it.isFile) readJournal(it).steps else 0 }

    /** Checks the rows of [data] as [tune] would, without tuning; returns their number. */
    fun check(data: File): Int = Split.load(data, task).rows.size

    private fun evaluate(examples: List<Example>, tokensPerCall: Int, source: Source): Evaluation {
        if (memoryLimitBytes == null) {
            return sources.feeding(fitting.mapped, examples, source) { evaluator.value.evaluate(state, it, tokensPerCall) }
        }
        val atOnce = (TOKENS_AT_ONCE / examples.maxOf { it.ids.size }).coerceIn(1, examples.size)
        return fitting.of(examples, atOnce, cached = false, rowsPerCall = null, Settings()).use { graphs ->
            val tokens = 2 * (graphs as StreamedGraphs).choice.tokensPerCall
            sources.feeding(graphs, examples, source) { feeder -> Evaluator(bundle, graphs).use { it.evaluate(state, feeder, tokens) } }
        }
    }

    override fun close() {
        if (evaluator.isInitialized()) evaluator.value.close()
        if (generator.isInitialized()) generator.value.close()
        state.close()
        update.close()
    }

    companion object {
        /** Tokens of one side for which an evaluation within a limit reads the weights once, at most. */
        private const val TOKENS_AT_ONCE = 4096

        /** Of a text that is generated, unless another number is given. */
        const val MAX_TOKENS = 256

        /**
         * What the contexts of the rows of a run come to before anything is computed; null for scope "all".
         *
         * @param bundle the folder of a bundle, whose weights are not verified for this.
         * @param run the RUN folder; as the other parameters as of [tune].
         * @throws SeedTuneException no bundle, or a row that cannot be used.
         */
        fun contextCost(bundle: File, run: File, train: File, heldOut: File? = null, contexts: File? = null): ContextCost? {
            val opened = Bundle.open(bundle, verifyWeights = false)
            val caches = Caches(opened)
            val read = caches.files(contexts) + caches.files(File(run, TextTuning.CONTEXTS))
            val task = opened.compiledTask()
            return listOfNotNull(train, heldOut).mapNotNull { caches.cost(Split.load(it, task), read) }.reduceOrNull(ContextCost::plus)
        }

        /**
         * Opens and verifies the bundle in [folder].
         *
         * @param threads of ONNX Runtime.
         * @param memoryLimitBytes of everything the process holds, pages of files included: weights are then read again and again
         * instead of staying. Null maps them, and the system decides.
         * @param verifyWeights whether the hash of the weights is compared; leave it out only where that was done a moment ago.
         * @param onEvent told how far the files are verified; false ends it.
         * @throws SeedTuneException no bundle, another format, or a file that is missing or altered.
         * @throws StoppedException by [onEvent].
         */
        fun open(
            folder: File,
            threads: Int = GraphSession.defaultThreads(),
            memoryLimitBytes: Long? = null,
            platform: Platform = DesktopPlatform,
            verifyWeights: Boolean = true,
            onEvent: (TuningEvent) -> Boolean = { true },
        ): SeedTune {
            val opened = Bundle.open(folder, verifyWeights) { done, of -> if (!onEvent(TuningEvent.Verifying(done, of))) throw StoppedException() }
            return SeedTune(opened, threads, memoryLimitBytes, platform)
        }
    }
}
