package org.seedtune.engine

import java.io.Closeable
import java.io.File
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.WholeRows
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State
import org.seedtune.engine.prefix.PrefixMaker
import org.seedtune.engine.prefix.SuffixRows
import org.seedtune.engine.run.Run
import org.seedtune.engine.run.RunFolder
import org.seedtune.engine.run.Settings
import org.seedtune.engine.run.Split
import org.seedtune.engine.tuning.StepEvent

/**
 * A bundle on this device, to be tuned and asked. One thread at a time may use it.
 *
 *     SeedTune.open(File("bundle")).use { model ->
 *         model.tune(File("run"), File("train.jsonl"), Settings(steps = 100)) { event -> println(event.estimate.loss); true }
 *         println(model.predict(mapOf("text" to "A film well worth seeing.")))
 *     }
 */
class SeedTune private constructor(val bundle: Bundle, private val threads: Int) : Closeable {
    private val task = bundle.compiledTask()
    private val state = State(bundle.graph("update"), bundle.manifest.state.parameters)
    private val prefixes = lazy { PrefixMaker(bundle, threads) }
    private val evaluator = lazy { GraphSession(bundle.graph("eval"), threads) }

    /** SHA-256 of the state as it is now. */
    val stateSha256: String get() = state.sha256()

    /**
     * Tunes the model on the rows of [train], or goes on with the run that [run] holds.
     *
     * @param run the RUN folder, made if it is not there.
     * @param onStep told each step; false ends the run cleanly, to be resumed later.
     * @return the steps made, those before a resume included.
     * @throws SeedTuneException anything the user can put right; what the journal holds is kept.
     */
    fun tune(run: File, train: File, settings: Settings, onStep: (StepEvent) -> Boolean = { true }): Int {
        settings.check()
        check(!tuned) { "this model has been tuned: open the bundle again for another run" }
        tuned = true
        val split = Split.load(train, task)
        RunFolder(run).use { folder ->
            Run(folder, bundle, settings, split, feeder(split.examples), state, threads).use { running ->
                while (!running.finished && onStep(running.step())) Unit
                running.conclude()
                return running.done
            }
        }
    }

    private var tuned = false

    /** The probability of each label for a row, in the order of the task's labels, by the state as it is now. */
    fun predict(fields: Map<String, String>): List<Float> {
        require(!bundle.manifest.task.completes) { "a completion task has no labels" }
        val example = Example(task.encode(fields), 0)
        return feeder(listOf(example)).batches(intArrayOf(0), Int.MAX_VALUE).single().use { batch ->
            batch.feeds.lend("state", state.tensor)
            evaluator.value.run(batch.feeds.tensors, setOf("log_probabilities")).use { found ->
                val scores = (found.get("log_probabilities").get() as ai.onnxruntime.OnnxTensor).floatBuffer
                List(scores.remaining()) { kotlin.math.exp(scores.get()) }
            }
        }
    }

    private fun feeder(examples: List<Example>): Feeder {
        val model = bundle.manifest.model
        val layout = bundle.manifest.prefix ?: return WholeRows(examples, model.paddingId)
        return SuffixRows(examples, model.paddingId, layout) { indices -> prefixes.value.make(indices.map { examples[it] }) }
    }

    override fun close() {
        if (evaluator.isInitialized()) evaluator.value.close()
        if (prefixes.isInitialized()) prefixes.value.close()
        state.close()
    }

    companion object {
        /**
         * Opens and verifies the bundle in [folder].
         *
         * @param threads of ONNX Runtime.
         * @throws SeedTuneException no bundle, another format, or a file that is missing or altered.
         */
        fun open(folder: File, threads: Int = GraphSession.defaultThreads()) = SeedTune(Bundle.open(folder), threads)
    }
}
