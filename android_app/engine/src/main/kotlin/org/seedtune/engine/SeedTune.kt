package org.seedtune.engine

import java.io.Closeable
import java.io.File
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Rows
import org.seedtune.engine.data.WholeRows
import org.seedtune.engine.evaluation.Evaluation
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.prefix.Prefixes
import org.seedtune.engine.prefix.SuffixRows
import org.seedtune.engine.run.HeldOut
import org.seedtune.engine.run.Run
import org.seedtune.engine.run.RunFolder
import org.seedtune.engine.run.RunResult
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.Split
import org.seedtune.engine.run.TuningEvent

/**
 * A bundle on this device, to be tuned and asked. One thread at a time may use it.
 *
 *     SeedTune.open(File("bundle")).use { model ->
 *         model.tune(File("run"), File("train.jsonl"), Settings(steps = 100)) { true }
 *         println(model.predict(mapOf("text" to "A film well worth seeing.")))
 *     }
 */
class SeedTune private constructor(val bundle: Bundle, private val threads: Int) : Closeable {
    private val task = bundle.compiledTask()
    private val state = State(bundle.graph("update"), bundle.manifest.state.parameters)
    private val evaluator = lazy { Evaluator(bundle, threads) }
    private var tuned = false

    /** SHA-256 of the state as it is now. */
    val stateSha256: String get() = state.sha256()

    /**
     * Tunes the model on the rows of [train], or goes on with the run that [run] holds.
     *
     * @param run the RUN folder, made if it is not there; the files in it are those of the Python runtime.
     * @param heldOut rows to evaluate on while tuning.
     * @param cachePrefixes whether a bundle of scope "suffix" keeps the prefixes of rows in [run].
     * @param onEvent told each step and evaluation; false ends the run cleanly, to be resumed later.
     * @throws SeedTuneException anything the user can put right; what the journal holds is kept.
     */
    fun tune(
        run: File,
        train: File,
        settings: Settings,
        heldOut: File? = null,
        cachePrefixes: Boolean = true,
        onEvent: (TuningEvent) -> Boolean = { true },
    ): RunResult {
        settings.check()
        check(!tuned) { "this model has been tuned: open the bundle again for another run" }
        tuned = true
        val learnt = Split.load(train, task)
        val kept = heldOut?.let { Split.load(it, task) }
        RunFolder(run).use { folder ->
            val cache = if (cachePrefixes) File(run, "prefixes") else null
            feeding(learnt.examples, cache, "train", onEvent) { feeder ->
                feeding(kept?.examples.orEmpty(), cache, "eval", onEvent) { keptFeeder ->
                    val evaluation = kept?.let { HeldOut(folder, bundle, it, keptFeeder, settings, threads) }
                    return Run(folder, bundle, settings, learnt, feeder, kept, evaluation, state, threads).use { it.execute(onEvent) }
                }
            }
        }
    }

    /**
     * Takes the state that the journal in [run] leads to.
     *
     * @return the steps it holds.
     * @throws SeedTuneException there is no journal, it is damaged, or it belongs to another bundle.
     */
    fun restore(run: File): Int {
        check(!tuned) { "this model has a state already: open the bundle again" }
        val file = File(run, "journal.bin")
        val journal = readJournal(file)
        if (journal.header.bundleSha256 != bundle.sha256 || journal.header.stateParameters != state.parameters) {
            throw SeedTuneException(
                "the run was made with another bundle", file.path, journal.header.bundleSha256, bundle.sha256, "choose the bundle of the run",
            )
        }
        tuned = true
        state.apply(journal.seeds(), FloatArray(journal.records.size) { journal.records[it].coefficient })
        return journal.records.size
    }

    /** Loss and accuracy of the rows of [data] by the state as it is now. */
    fun evaluate(data: File, tokensPerCall: Int = TOKENS_PER_CALL): Evaluation =
        feeding(Split.load(data, task).examples) { evaluator.value.evaluate(state, it, tokensPerCall) }

    /** The probability of each label for a row, in the order of the task's labels, by the state as it is now. */
    fun predict(fields: Map<String, String>): List<Float> {
        require(!bundle.manifest.task.completes) { "a completion task has no labels" }
        return feeding(listOf(Example(task.encode(fields), 0))) {
            evaluator.value.evaluate(state, it, TOKENS_PER_CALL).probabilities!!.single().toList()
        }
    }

    /** Checks the rows of [data] as [tune] would, without tuning; returns their number. */
    fun check(data: File): Int = Rows.read(data, bundle.manifest.task).size

    private inline fun <T> feeding(
        examples: List<Example>,
        cache: File? = null,
        name: String = "",
        crossinline onEvent: (TuningEvent) -> Boolean = { true },
        use: (Feeder) -> T,
    ): T {
        val paddingId = bundle.manifest.model.paddingId
        val layout = bundle.manifest.prefix ?: return use(WholeRows(examples, paddingId))
        val file = cache?.takeIf { examples.isNotEmpty() }?.let { File(it, "$name-${bundle.sha256.take(NAME_DIGITS)}.prefixes") }
        return Prefixes(bundle, examples, file, threads).use { prefixes ->
            prefixes.build { done, of -> onEvent(TuningEvent.CachingPrefixes(done, of)) }
            use(SuffixRows(examples, paddingId, layout, prefixes))
        }
    }

    override fun close() {
        if (evaluator.isInitialized()) evaluator.value.close()
        state.close()
    }

    companion object {
        private const val TOKENS_PER_CALL = 1024
        private const val NAME_DIGITS = 12

        /**
         * Opens and verifies the bundle in [folder].
         *
         * @param threads of ONNX Runtime.
         * @throws SeedTuneException no bundle, another format, or a file that is missing or altered.
         */
        fun open(folder: File, threads: Int = GraphSession.defaultThreads()) = SeedTune(Bundle.open(folder), threads)
    }
}
